"""Whether images fit into memory, asked before any is made."""

from cnnlab.core.errors import Refused
from cnnlab.core.formats import byte_size
from cnnlab.core.memory import available


def require(what: str, size: int, advice: str) -> None:
    """Refuses images that cannot fit into memory.

    They are there twice when the validation split is cut, and when workers get them.

    Args:
        what: the images as their user knows them, in the plural
        size: bytes of all of them
        advice: what to do
    """
    free = available()
    if 2 * size > free:
        raise Refused(
            f"{what} take {byte_size(size)}, twice that while they are split; "
            f"{byte_size(free)} of memory are free. {advice}"
        )
