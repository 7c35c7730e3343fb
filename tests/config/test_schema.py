"""Every yaml in conf/ and sweeps/ is an artefact that is tested; configs are closed."""

import math

import pytest
from conftest import SMALL, config_of

from cnnlab.config.checking import validate
from cnnlab.config.compose import compose
from cnnlab.config.options import GROUPS, options
from cnnlab.config.schema import described
from cnnlab.core.errors import Refused
from cnnlab.core.limits import Positive
from cnnlab.data.loading import load
from cnnlab.planning.expansion import expand
from cnnlab.records.writer import open_record
from cnnlab.training.train import train

PARTS = [(group, option) for group in GROUPS if group != "data" for option in options(group)]


@pytest.mark.parametrize(("group", "option"), PARTS)
def test_every_part_composes_builds_and_trains(group, option, tmp_path):
    config = config_of(*SMALL, "epochs=1", f"{group}={option}")
    data = load(config.data)
    assert math.ceil(len(data.train) / config.batch_size) >= 2  # two steps at least
    outcome = train([config], data, [open_record(tmp_path)])[0]
    assert outcome.status == "done"
    assert math.isfinite(outcome.final_train_loss)


@pytest.mark.parametrize("option", options("data"))
def test_every_dataset_composes_and_its_keys_are_known(option, tmp_path):
    (tmp_path / "images.npz").touch()
    place = {"npz": tmp_path / "images.npz", "folder": tmp_path}.get(option)
    given = (f"data.path={place}",) if place else ()
    config = config_of(f"data={option}", *given)
    assert config.data["_target_"] == f"cnnlab.parts.data.{option}.{option}"


@pytest.mark.parametrize("option", options("sweeps"))
def test_every_sweep_asks_a_question_and_expands_without_a_fault(option):
    found = expand((), (f"sweeps={option}",))
    assert found.command.question.endswith("?")
    assert found.faults == []
    assert len(found.jobs) > 1
    assert {job.config.name for job in found.jobs} == {option}


def test_the_named_sweeps_have_the_cells_that_they_speak_of():
    sizes = {name: len(expand((), (f"sweeps={name}",)).jobs) for name in options("sweeps")}
    assert sizes == {"bn_lr": 2 * 3, "augment": 8, "activation": 7 * 2, "homework": 6}


def test_every_yaml_key_is_an_argument_and_every_argument_is_a_yaml_key():
    """A default that a yaml leaves to the code would be invisible in the record."""
    from cnnlab.config.targets import keys_of

    for group, option in [*PARTS, *(("data", name) for name in options("data"))]:
        config, _ = compose((f"{group}={option}",))
        parts = config[group].values() if group == "augment" else [config[group]]
        for part in parts:
            assert set(part) - {"_target_"} == set(keys_of(group, part).model_fields)


def test_yaml_defaults_are_the_functions_defaults():
    from cnnlab.config.targets import keys_of

    for group, option in PARTS:
        config, _ = compose((f"{group}={option}",))
        parts = config[group].values() if group == "augment" else [config[group]]
        for part in parts:
            for key, field in keys_of(group, part).model_fields.items():
                assert part[key] == field.default, (group, option, key)


def test_defaults_are_those_that_were_promised():
    config = config_of()
    assert (config.epochs, config.batch_size, config.precision) == (30, 128, "fp32")
    assert config.optimizer["momentum"] == 0.9
    assert config.optimizer["weight_decay"] == 1e-4


def test_each_key_is_described_in_the_help():
    config, _ = compose()
    keys = {*config, *(f"sweep.{key}" for key in config["sweep"])} - {*GROUPS, "sweep"}
    assert set(described()) == keys
    assert all(text and text.endswith(".") for text in described().values())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0), ("epochs", 1.5), ("epochs", "ten"), ("epochs", True), ("epochs", None),
        ("batch_size", 0), ("seed", -1), ("seed", 2**32), ("evaluate_test", 1),
        ("precision", "fp16"), ("device", "tpu"), ("device", "cpu:1"), ("device", "cuda:x"),
        ("name", "a/b"), ("name", ".hidden"), ("name", "x" * 65), ("outputs", 3), ("lr", 0.1),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_one_sentence_with_its_key(key, value):
    config, _ = compose(())
    with pytest.raises(Refused) as refused:
        validate({**config, key: value})
    (fault,) = refused.value.faults
    assert fault.startswith(f"{key}=")
    assert "\n" not in fault


def test_all_faults_are_told_at_once():
    config, _ = compose(())
    bad = {**config, "epochs": 0, "seed": -1, "device": "tpu", "typo": 1}
    bad["optimizer"] = {**config["optimizer"], "momentum": 1.5, "momentun": 1}
    with pytest.raises(Refused) as refused:
        validate(bad)
    faults = "\n".join(refused.value.faults)
    for part in ("epochs=0", "seed=-1", "device=tpu", "typo", "momentum=1.5", "momentun"):
        assert part in faults
    assert len(refused.value.faults) == 6


def test_annotated_limits_are_strict():
    from pydantic import TypeAdapter, ValidationError

    assert TypeAdapter(Positive).validate_python(1) == 1.0
    with pytest.raises(ValidationError):
        TypeAdapter(Positive).validate_python("1")


@pytest.mark.parametrize(
    ("target", "new"),
    [
        ("cnnlab.norm.bn.bn", "cnnlab.parts.norm.bn.bn"),
        ("cnnlab.model.simplenn.SimpleNN", "cnnlab.parts.model.simplenn.SimpleNN"),
        ("cnnlab.data.digits.digits", "cnnlab.parts.data.digits.digits"),
    ],
)
def test_an_old_path_of_a_part_is_refused_with_the_new_one(target, new):
    group = target.split(".")[1]
    with pytest.raises(Refused) as refused:
        validate({**config_of().plain(), group: {"_target_": target}})
    assert refused.value.faults == [f"{group}._target_={target}: has moved; write _target_: {new}."]


def test_a_part_that_imports_a_module_which_moved_is_told_where_it_is(tmp_path, monkeypatch):
    import cnnlab.parts.norm

    (tmp_path / "older.py").write_text("from cnnlab.limits import Positive\n")
    monkeypatch.setattr(cnnlab.parts.norm, "__path__", [*cnnlab.parts.norm.__path__, str(tmp_path)])
    with pytest.raises(Refused, match=r"What it had is in cnnlab\.core\.limits now"):
        validate({**config_of().plain(), "norm": {"_target_": "cnnlab.parts.norm.older.older"}})
