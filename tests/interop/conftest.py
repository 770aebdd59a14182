"""One server for the tests that can share it, and clients that are closed when a test ends."""

import itertools

import pytest

from browser import Browser
from longwire import Client, Server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server():
    with Server() as server:
        yield server
        assert server.process.poll() is None, "the server ended before the tests did"


@pytest.fixture
def name():
    """Makes a test's names its own, since tests share a server."""
    number = next(_numbers)
    return lambda stem: f"{stem}-{number}"


@pytest.fixture(params=["json", "proto"])
def encoding(request):
    """What clients speak unless a test says otherwise: what holds for one encoding holds for the other."""
    return request.param


@pytest.fixture
def connect(request, encoding):
    """Opens connections, to the shared server unless another is given."""
    clients = []

    def open(server=None, path="", encoding=encoding, **options):
        server = server or request.getfixturevalue("server")
        clients.append(Client(server.url + path, encoding, **options))
        return clients[-1]

    yield open
    for client in clients:
        client.close()


@pytest.fixture
def signed_in(connect, name, encoding):
    """Opens connections and signs them in by name; the same stem is the same user within a test."""

    def open(stem, encoding=encoding, **fields):
        client = connect(encoding=encoding)
        client.user = name(stem)
        client.sign_in(client.user, **fields)
        return client

    return open


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def key():
    return b"an interop secret of 32 bytes or more"


@pytest.fixture(scope="session")
def key_file(tmp_path_factory, key):
    path = tmp_path_factory.mktemp("token") / "key"
    path.write_bytes(key)
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def strict(key_file):
    """A server that wants tokens."""
    with Server("--token-key", key_file, dev=False) as server:
        yield server
