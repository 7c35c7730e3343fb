"""Torchvision's real download, against a small server on this machine: whole, broken and gone."""

import gc
import gzip
import hashlib
import io
import json
import pickle
import re
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets
from conftest import command, config_of

from cnnlab.core.errors import Refused
from cnnlab.data import loading
from cnnlab.data.dataset import Data
from cnnlab.data.loading import described
from cnnlab.parts.data.cifar10 import cifar10
from cnnlab.parts.data.cifar100 import cifar100
from cnnlab.parts.data.fashion_mnist import fashion_mnist
from cnnlab.parts.data.mnist import mnist
from cnnlab.planning import plan
from cnnlab.records.schema import METRICS, TIMING
from cnnlab.records.writer import open_record

pytestmark = [
    # Python 3.12 and 3.13 announce a change of tarfile, which torchvision calls.
    pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning"),
    # torchvision does not close the answer to a request that failed.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

CLASSES = ["plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


# --- the server


class Server:
    """Files by path. `send` puts an answer onto the wire; a test may replace it."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.errors = 0
        self.send: Callable[[BaseHTTPRequestHandler, bytes], None] = send_whole
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked.append(self.path)
                if self.path in server.files:
                    server.send(self, server.files[self.path])
                else:
                    self.send_error(404)

            def send_error(self, *status):
                server.errors += 1
                super().send_error(*status)

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # torchvision's first request is closed before its answer is read

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self) -> None:
        """From now on connections are refused."""
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    found = Server()
    yield found
    found.stop()
    if found.errors:
        gc.collect()  # here, where warnings of unclosed sockets are expected, not in a later test


def send_whole(handler: BaseHTTPRequestHandler, body: bytes, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def send_half_and_hang_up(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    send_whole(handler, body[: len(body) // 2], length=len(body))


def send_half_as_if_whole(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    send_whole(handler, body[: len(body) // 2])


def send_flipped(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    middle = len(body) // 2
    send_whole(handler, body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :])


def send_a_login_page(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    send_whole(handler, b"<html>Welcome to the hotel's network</html>")


def send_an_error(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_error(503)


def send_another_protocol(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")


def send_nothing(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    handler.close_connection = True


# --- CIFAR's format: https://www.cs.toronto.edu/~kriz/cifar.html


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def pictures(count: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, *shape), dtype=np.uint8)
    return images, random.permutation(np.arange(count) % 10)


TRAIN, TEST = pictures(50, 32, 32, 3), pictures(20, 32, 32, 3)


def batch(images: np.ndarray, labels: np.ndarray, key: str) -> bytes:
    """Rows of 3,072 bytes: 1,024 red ones, then the green, then the blue."""
    colours = [[image[..., k].ravel() for k in range(3)] for image in images]
    rows = np.array([np.concatenate(planes) for planes in colours])
    return pickle.dumps({"data": rows, key: labels.tolist()}, protocol=2)


def archive(folder: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def cifar10_files() -> dict[str, bytes]:
    fifths = zip(np.split(TRAIN[0], 5), np.split(TRAIN[1], 5), strict=True)
    return {
        **{f"data_batch_{k}": batch(*fifth, "labels") for k, fifth in enumerate(fifths, 1)},
        "test_batch": batch(*TEST, "labels"),
        "batches.meta": pickle.dumps({"label_names": CLASSES}, protocol=2),
    }


def serve_cifar10(server: Server) -> dict[str, Any]:
    """Puts the archive onto the server; what points torchvision's class at it."""
    files = cifar10_files()
    content = archive("cifar-10-batches-py", files)
    server.files["/cifar-10-python.tar.gz"] = content
    sums = [[name, md5(data)] for name, data in files.items()]
    return {
        "url": f"{server.url}cifar-10-python.tar.gz",
        "tgz_md5": md5(content),
        "train_list": sums[:5],
        "test_list": sums[5:6],
        "meta": {"filename": "batches.meta", "key": "label_names", "md5": sums[6][1]},
    }


def pointed(monkeypatch: pytest.MonkeyPatch, name: str, attributes: dict[str, Any]) -> type:
    dataset = getattr(torchvision.datasets, name)
    for key, value in attributes.items():
        monkeypatch.setattr(dataset, key, value)
    return dataset


@pytest.fixture
def cifar(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that torchvision's CIFAR10 downloads from."""
    pointed(monkeypatch, "CIFAR10", serve_cifar10(server))
    return server


def load(root: Path) -> Data:
    return cifar10(root=str(root), validation=0.2, split_seed=0)


def rows(images: np.ndarray, labels: np.ndarray) -> list[tuple[int, bytes]]:
    return sorted((int(y), image.tobytes()) for image, y in zip(images, labels, strict=True))


def assert_holds(data: Data, train: tuple, test: tuple) -> None:
    both = np.concatenate([data.train.images, data.val.images])
    labels = np.concatenate([data.train.labels, data.val.labels])
    assert rows(both.reshape(len(both), *train[0].shape[1:]), labels) == rows(*train)
    assert np.array_equal(data.test.images.reshape(test[0].shape), test[0])
    assert np.array_equal(data.test.labels, test[1])


# --- what is downloaded


def test_a_download_gives_the_images_labels_and_names_that_were_served(cifar, tmp_path):
    data = load(tmp_path / "kept")
    assert_holds(data, TRAIN, TEST)
    assert (len(data.train), len(data.val)) == (40, 10)
    assert data.classes == tuple(CLASSES)
    assert data.shape == (3, 32, 32)


def test_a_second_load_needs_no_server_and_only_the_arrays_are_kept(cifar, tmp_path):
    first = load(tmp_path / "kept")
    cifar.stop()
    assert load(tmp_path / "kept").fingerprint == first.fingerprint
    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["cifar10.npz"]


def test_a_copy_that_torchvision_unpacked_before_is_used_without_a_download(cifar, tmp_path):
    torchvision.datasets.CIFAR10(str(tmp_path), download=True)
    cifar.stop()
    asked = len(cifar.asked)
    assert_holds(load(tmp_path), TRAIN, TEST)
    assert len(cifar.asked) == asked


def test_a_damaged_copy_is_downloaded_again_and_left_as_it_was(cifar, tmp_path):
    torchvision.datasets.CIFAR10(str(tmp_path), download=True)
    file = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    file.write_bytes(b"damaged")
    asked = len(cifar.asked)
    assert_holds(load(tmp_path), TRAIN, TEST)
    assert len(cifar.asked) > asked
    assert file.read_bytes() == b"damaged"


def test_cifar100_is_read_with_its_fine_labels(server, monkeypatch, tmp_path):
    names = [f"class {k}" for k in range(100)]
    files = {
        "train": batch(*TRAIN, "fine_labels"),
        "test": batch(*TEST, "fine_labels"),
        "meta": pickle.dumps({"fine_label_names": names}, protocol=2),
    }
    content = archive("cifar-100-python", files)
    server.files["/cifar-100-python.tar.gz"] = content
    attributes = {
        "url": f"{server.url}cifar-100-python.tar.gz",
        "tgz_md5": md5(content),
        "train_list": [["train", md5(files["train"])]],
        "test_list": [["test", md5(files["test"])]],
        "meta": {"filename": "meta", "key": "fine_label_names", "md5": md5(files["meta"])},
    }
    pointed(monkeypatch, "CIFAR100", attributes)
    data = cifar100(root=str(tmp_path), validation=0.2, split_seed=0)
    assert_holds(data, TRAIN, TEST)
    assert data.classes == tuple(names)


# --- what goes wrong


def assert_refused(root: Path, reason: str, read: Callable[[Path], Data] = load) -> None:
    """One line, with what happened and what to do; nothing stays."""
    with pytest.raises(Refused) as refused:
        read(root)
    (fault,) = refused.value.faults
    assert "\n" not in str(refused.value)
    assert re.search(rf"could not be downloaded \(.*{reason}.*\)\. ", fault), fault
    assert "data=digits" in fault
    assert str(root) in fault
    assert list(root.iterdir()) == []


@pytest.mark.parametrize(
    ("send", "reason"),
    [
        (send_half_and_hang_up, "corrupted|incomplete"),
        (send_half_as_if_whole, "corrupted"),
        (send_flipped, "corrupted"),
        (send_a_login_page, "corrupted"),
        (send_an_error, "Service Unavailable"),
        (send_another_protocol, "SSH-2.0"),
        (send_nothing, "closed connection"),
    ],
)
def test_a_download_that_goes_wrong_is_refused_in_one_line_and_leaves_nothing(
    cifar, tmp_path, send, reason
):
    cifar.send = send
    assert_refused(tmp_path / "kept", reason)
    cifar.send = send_whole
    assert_holds(load(tmp_path / "kept"), TRAIN, TEST)  # the same command again works


def test_a_server_that_says_nothing_is_not_waited_for_and_other_connections_are_left_alone(
    cifar, tmp_path, monkeypatch
):
    over = threading.Event()
    cifar.send = lambda handler, body: over.wait(20)
    monkeypatch.setattr("cnnlab.data.download.SECONDS_WITHOUT_AN_ANSWER", 0.1)
    before = socket.getdefaulttimeout()
    assert_refused(tmp_path / "kept", "timed out")
    assert socket.getdefaulttimeout() == before
    over.set()


def test_a_server_that_is_gone_is_refused_in_one_line_and_leaves_nothing(cifar, tmp_path):
    cifar.stop()
    assert_refused(tmp_path / "kept", "Connection refused")


def test_a_file_that_is_gone_is_refused_in_one_line_and_leaves_nothing(cifar, tmp_path):
    cifar.files.clear()
    assert_refused(tmp_path / "kept", "Not Found")


def test_an_archive_of_other_files_is_refused_although_its_sum_is_right(
    server, monkeypatch, tmp_path
):
    attributes = serve_cifar10(server)
    content = archive("cifar-10-batches-py", {**cifar10_files(), "data_batch_2": b"other"})
    server.files["/cifar-10-python.tar.gz"] = content
    pointed(monkeypatch, "CIFAR10", {**attributes, "tgz_md5": md5(content)})
    assert_refused(tmp_path / "kept", "corrupted")


def test_an_interrupted_download_leaves_nothing(cifar, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("tarfile.open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load(tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_root_that_cannot_be_written_is_refused_before_the_download(cifar, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match=r"file/below: cannot download there: .*data\.root"):
        load(tmp_path / "file" / "below")
    assert cifar.asked == []


# --- MNIST's format: http://yann.lecun.com/exdb/mnist/

GREY = {"train": pictures(50, 28, 28), "t10k": pictures(20, 28, 28)}

MNISTS = pytest.mark.parametrize(
    ("dataset", "name"), [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST")]
)


def idx(array: np.ndarray) -> bytes:
    """Two zeros, the type (8: unsigned byte), the number of dimensions, each of them, the data."""
    sizes = np.array(array.shape, ">i4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def serve_mnist(server: Server) -> dict[str, Any]:
    resources = []
    for part, (images, labels) in GREY.items():
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = gzip.compress(idx(array), mtime=0)
            server.files[f"/{part}-{name}-ubyte.gz"] = content
            resources.append((f"{part}-{name}-ubyte.gz", md5(content)))
    return {"mirrors": [f"{server.url}gone/", server.url], "resources": resources}


def reader(dataset: Callable[..., Data]) -> Callable[[Path], Data]:
    return lambda root: dataset(root=str(root), validation=0.2, split_seed=0)


@MNISTS
def test_mnist_comes_from_the_first_mirror_that_has_it(
    server, monkeypatch, tmp_path, dataset, name
):
    found = pointed(monkeypatch, name, serve_mnist(server))
    data = reader(dataset)(tmp_path)
    assert_holds(data, GREY["train"], GREY["t10k"])
    assert data.classes == tuple(found.classes)
    assert data.shape == (1, 28, 28)
    server.stop()
    assert reader(dataset)(tmp_path).fingerprint == data.fingerprint
    assert [file.name for file in tmp_path.iterdir()] == [f"{dataset.__name__}.npz"]


@MNISTS
def test_mnist_without_its_last_file_is_refused_in_one_line_and_leaves_nothing(
    server, monkeypatch, tmp_path, dataset, name
):
    pointed(monkeypatch, name, serve_mnist(server))
    del server.files["/t10k-labels-idx1-ubyte.gz"]
    assert_refused(tmp_path / "kept", "t10k-labels.*404", reader(dataset))


@pytest.mark.parametrize(
    "damaged", [lambda whole: whole[:-100], lambda whole: whole[100:], lambda _: b""]
)
def test_a_damaged_copy_of_mnist_is_downloaded_again(server, monkeypatch, tmp_path, damaged):
    found = pointed(monkeypatch, "MNIST", serve_mnist(server))
    found(str(tmp_path), download=True)
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(damaged(file.read_bytes()))  # torchvision checks no sum of these files
    assert_holds(reader(mnist)(tmp_path), GREY["train"], GREY["t10k"])


# --- without a download


@pytest.fixture
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of its own."""
    monkeypatch.setattr(loading, "_loaded", {})
    plan.forget()


@pytest.mark.parametrize(
    ("option", "shape", "classes", "counts"),
    [  # the data sets' own pages
        ("cifar10", (3, 32, 32), 10, [45_000, 5_000, 10_000]),
        ("cifar100", (3, 32, 32), 100, [45_000, 5_000, 10_000]),
        ("mnist", (1, 28, 28), 10, [54_000, 6_000, 10_000]),
        ("fashion_mnist", (1, 28, 28), 10, [54_000, 6_000, 10_000]),
    ],
)
def test_without_its_images_a_dataset_is_described_and_nothing_is_written(
    tmp_path, option, shape, classes, counts
):
    part = config_of(f"data={option}", f"data.root={tmp_path / 'none'}").data
    data = described(part)
    assert (data.shape, len(data.classes)) == (shape, classes)
    assert [len(split) for split in (data.train, data.val, data.test)] == counts
    assert data.blank
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_forgotten")
def test_a_plan_tells_what_there_is_once_the_images_are_here(cifar):
    typed = ("data=cifar10", "data.validation=0.2", "name=far", "norm=bn,none")
    planned = plan.make((), (*typed, "plan=true"))
    assert [run.state for run in planned.runs] == ["unknown"] * 2
    assert (cifar.asked, planned.to_train) == ([], "at most 2")
    made = plan.make((), typed)  # as a training command does
    open_record(made.runs[0].directory, made.runs[0].run_id).add(
        dict.fromkeys(METRICS, 1), dict.fromkeys(TIMING, 1), {}
    )
    made.write()
    plan.forget()
    here = plan.make((), (*typed, "plan=true"))
    assert [run.state for run in here.runs] == ["partly trained", "pending"]
    assert [run.run_id for run in here.runs] == [run.run_id for run in made.runs]
    gone = plan.make((), (*typed, "data.root=elsewhere", "plan=true"))
    assert [run.state for run in gone.runs] == ["unknown"] * 2  # although plan.json has others
    assert gone.notes == ()


def test_a_model_that_cannot_be_built_is_refused_before_the_download(cifar, tmp_path):
    with pytest.raises(Refused, match="groups"):
        plan.make((), ("data=cifar10", f"data.root={tmp_path}", "norm=gn", "norm.groups=5"))
    assert cifar.asked == []


@pytest.mark.usefixtures("_forgotten")
def test_runs_on_images_that_are_not_here_are_told_apart():
    planned = plan.make((), ("data=mnist,fashion_mnist", "data.split_seed=0,1", "plan=true"))
    assert [run.state for run in planned.runs] == ["unknown"] * 4
    assert planned.name == "data-x-split_seed-?"  # the real one is a hash of the images too


def test_what_was_described_is_read_once_it_is_to_be_trained_on(cifar, tmp_path):
    part = config_of("data=cifar10", f"data.root={tmp_path}", "data.validation=0.2").data
    assert len(described(part).train) == 40_000
    assert cifar.asked == []
    data = loading.load(part)
    assert_holds(data, TRAIN, TEST)
    assert data.fingerprint == load(tmp_path).fingerprint
    assert described(part) is data


# --- as a person sees it


@pytest.fixture
def pointed_command(server, monkeypatch, tmp_path) -> Callable[..., Any]:
    """`python -m cnnlab.run data=cifar10`, with torchvision pointed at the server."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import json\n"
        "from torchvision.datasets import CIFAR10\n"
        f"for key, value in json.loads({json.dumps(serve_cifar10(server))!r}).items():\n"
        "    setattr(CIFAR10, key, value)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    places = (f"data.root={tmp_path / 'kept'}", f"outputs={tmp_path / 'outputs'}")
    return lambda *given: command("run", "data=cifar10", *places, *given, cwd=tmp_path)


def test_a_failed_download_is_one_line_on_stderr_and_exit_code_2(pointed_command, server, tmp_path):
    server.stop()
    done = pointed_command()
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("Refused: CIFAR10 could not be downloaded (")
    assert "Connection refused" in line
    assert "data=digits" in line
    assert done.stdout == ""
    assert not (tmp_path / "outputs").exists()


def test_a_plan_downloads_nothing_and_says_what_training_will(pointed_command, server, tmp_path):
    done = pointed_command("-m", "norm=bn,none", "name=far", "plan=true")
    assert done.returncode == 0, done.stderr
    assert server.asked == []
    assert "Sweep far: 2 runs, at most 2 to train." in done.stdout
    assert (
        f"data=cifar10: its images are not in {tmp_path / 'kept'} yet; training downloads them "
        "first, 170 MB. Which runs are trained already is not known before."
    ) in done.stdout
    assert "2 unknown; at most 2 will train." in done.stdout
    assert not (tmp_path / "kept").exists()
    assert not (tmp_path / "outputs").exists()


def test_a_download_shows_its_progress_and_the_run_trains_on_it(pointed_command, tmp_path):
    done = pointed_command("epochs=1", "data.validation=0.2", "device=cpu")
    assert done.returncode == 0, done.stderr
    assert re.search(r"100(\.0)?%", done.stderr)
    (result,) = (tmp_path / "outputs").glob("*/*/result.json")
    assert json.loads(result.read_text())["status"] == "done"
