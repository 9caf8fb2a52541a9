"""The download of full MNIST, with scikit-learn's real loader against a small OpenML of our own on this machine."""

import gzip
import hashlib
import json
import socket
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
import pytest
import torch

from diffusion_lab.data import openml
from diffusion_lab.data.openml import load_fashion_mnist, load_mnist

N = 6
PIXELS = np.random.default_rng(0).integers(0, 256, size=(N, 784))
PIXELS[0, :2] = 0, 255
LABELS = [5, 0, 4, 9, 9, 2]
both = pytest.mark.parametrize(("load", "data_id", "name"),
                               [(load_mnist, 554, "mnist_784"), (load_fashion_mnist, 40996, "fashion-mnist")])


def arff(name):
    """The data file, in the form of OpenML's mnist_784."""
    columns = [f"@ATTRIBUTE pixel{i} real" for i in range(1, 785)] + ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}"]
    rows = [",".join(map(str, [*pixels, label])) for pixels, label in zip(PIXELS, LABELS)]
    return "\n".join([f"@RELATION {name}", *columns, "@DATA", *rows, ""]).encode()


def answers(data_id, name):
    """What OpenML answers: {path: bytes}."""
    flags = {"is_ignore": "false", "is_row_identifier": "false", "number_of_missing_values": "0"}
    features = [{"index": str(i), "name": f"pixel{i + 1}", "data_type": "numeric", "is_target": "false", **flags}
                for i in range(784)]
    features.append({"index": "784", "name": "class", "data_type": "nominal", "is_target": "true", **flags,
                     "nominal_value": list("0123456789")})
    file = f"/data/v1/download/{data_id}/{name}.arff"
    description = {"id": str(data_id), "name": name, "version": "1", "format": "ARFF", "status": "active",
                   "description": "A few images.", "url": f"https://www.openml.org{file}",
                   "md5_checksum": hashlib.md5(arff(name)).hexdigest()}
    quality = [{"name": "NumberOfInstances", "value": str(float(N))}]
    found = {"data": {"dataset": [{"did": data_id, "name": name, "version": 1, "status": "active"}]}}
    api = "/api/v1/json/data"
    replies = {f"{api}/list/data_name/{name}/limit/2/data_version/1": found,
               f"{api}/{data_id}": {"data_set_description": description},
               f"{api}/features/{data_id}": {"data_features": {"feature": features}},
               f"{api}/qualities/{data_id}": {"data_qualities": {"quality": quality}}}
    return {path: json.dumps(reply).encode() for path, reply in replies.items()} | {file: arff(name)}


class OpenML(BaseHTTPRequestHandler):
    """Answers as openml.org does, zipped; anything else is not found."""

    def do_GET(self):
        self.server.asked.append(self.path)
        known = answers(554, "mnist_784") | answers(40996, "fashion-mnist")
        body = gzip.compress(known.get(self.path, b""))
        self.send_response(200 if self.path in known else 404)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def reach(monkeypatch):
    """A function that sends all requests for openml.org to a port of this machine, and none anywhere else."""
    def reach_port(port):
        def redirected(request, *rest, **named):
            address = urlsplit(request.full_url)
            assert address.scheme == "https"
            assert address.hostname in ("www.openml.org", "api.openml.org", "openml.org")
            local = Request(f"http://127.0.0.1:{port}{address.path}", headers=dict(request.header_items()))
            return urlopen(local, *rest, **named)

        monkeypatch.setattr("sklearn.datasets._openml.urlopen", redirected)

    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    return reach_port


@pytest.fixture
def server(reach):
    """OpenML on this machine, and the paths that it was asked for."""
    local = ThreadingHTTPServer(("127.0.0.1", 0), OpenML)
    local.asked = []
    thread = threading.Thread(target=local.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    reach(local.server_port)
    yield local
    local.shutdown()
    thread.join()
    local.server_close()


@pytest.fixture
def closed_port():
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@both
def test_images_labels_and_split(load, data_id, name, server, tmp_path, monkeypatch):
    monkeypatch.setattr(openml, "N_TRAIN", 4)
    for split, rows in ((None, slice(None)), ("train", slice(0, 4)), ("test", slice(4, 6))):
        images, labels = load(split, cache=tmp_path)
        expected = torch.tensor(PIXELS[rows] / 255 * 2 - 1).reshape(-1, 1, 28, 28)
        assert images.dtype == torch.float32
        assert images.shape == expected.shape
        assert (images - expected).abs().max() < 1e-6
        assert labels.dtype == torch.int64
        assert labels.tolist() == LABELS[rows]
    assert load(cache=tmp_path)[0][0].flatten()[:2].tolist() == [-1, 1]
    assert server.asked[0].endswith(f"{name}/limit/2/data_version/1")
    assert sorted(server.asked) == sorted(answers(data_id, name)), "each file is downloaded once"


def test_the_split_is_the_usual_one():
    assert openml.N_TRAIN == 60_000


def test_the_second_call_needs_no_network(server, reach, closed_port, tmp_path):
    images, labels = load_mnist(cache=tmp_path)
    asked = len(server.asked)
    reach(closed_port)
    again, labels_again = load_mnist(cache=tmp_path)
    assert torch.equal(images, again)
    assert torch.equal(labels, labels_again)
    assert len(server.asked) == asked


@both
def test_without_a_network_the_error_says_what_failed_and_what_works(load, data_id, name, reach, closed_port, tmp_path,
                                                                     monkeypatch):
    monkeypatch.setattr("sklearn.datasets._openml.time.sleep", lambda seconds: None)
    reach(closed_port)
    with pytest.warns(UserWarning, match="network error"), pytest.raises(ConnectionError) as refused:
        load(cache=tmp_path)
    for part in ({"mnist_784": "MNIST", "fashion-mnist": "Fashion-MNIST"}[name] + " could not be downloaded",
                 "openml.org", "refused", "diffusion_lab.data.digits.load_digits()"):
        assert part in str(refused.value)


def test_without_pandas_the_error_names_the_remedy_before_anything_is_downloaded(server, monkeypatch):
    monkeypatch.setattr(openml, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="MNIST is read with pandas.*-m pip install pandas.*load_digits"):
        load_mnist()
    assert server.asked == []


@both
def test_another_split_is_refused_before_anything_is_downloaded(load, data_id, name, server):
    with pytest.raises(ValueError, match="split must be \"train\", \"test\" or None .all., but got 'validation'"):
        load("validation")
    assert server.asked == []
