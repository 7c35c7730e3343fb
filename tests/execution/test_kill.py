"""A killed sweep, started again, leaves what one that nobody killed leaves."""

from kill import torture


def test_a_sweep_that_is_killed_three_times_is_as_if_nobody_had_killed_it(tmp_path):
    """The short form of tests/execution/kill.py, which says what is compared."""
    told: list[str] = []
    faults = torture(
        tmp_path, kills=3, grid=("norm=bn,none", "lr=0.003,0.01"), epochs=60, tell=told.append
    )
    assert faults == [], "\n".join([*faults, *told])
