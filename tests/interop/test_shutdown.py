"""A server that is told to stop tells its clients when to come back, and ends with 0."""

import signal

import pytest

from longwire import Client, Server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_clients_are_closed_with_3000(number):
    with Server() as server:
        clients = [Client(server.url) for _ in range(8)]
        for place, client in enumerate(clients[1:]):
            client.sign_in(f"user{place}")
        server.signal(number)
        for client in clients:
            client.expect_closed(3000, r"retryAfter=\d+")
        assert server.process.wait(timeout=10) == 0


def test_a_server_without_clients_ends_at_once():
    with Server() as server:
        assert server.stop() == 0
