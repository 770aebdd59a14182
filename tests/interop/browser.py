"""A headless Chromium, spoken to by its own protocol: opens a page and tells what it complained about."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess

from websockets.sync.client import connect

# How long anything may take before the test fails (seconds): a bound, never a wait.
PATIENCE = 30

BINARIES = ("chromium-headless-shell", "chromium", "google-chrome")
# What a page that needs nothing but itself never gives rise to.
COMPLAINTS = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}


class Page:
    """One page: what it said and asked for while it was opened, and what its document holds."""

    def __init__(self, browser, session):
        self._browser, self._session = browser, session
        self.complaints, self.requests = [], []

    def call(self, method, **parameters):
        return self._browser.call(method, parameters, self._session, self._note)

    def open(self, address):
        """Opens a URL, or a file."""
        address = address if isinstance(address, str) else address.resolve().as_uri()
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=address)
        self._browser.until("Page.loadEventFired", self._session, self._note)

    def evaluate(self, expression):
        """What an expression gives; a promise's value once it is there."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _note(self, event):
        if event["method"] in COMPLAINTS:
            self.complaints.append(event["params"])
        if event["method"] == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])


class Browser:
    """The process and its one connection."""

    def __init__(self, folder):
        binary = next(filter(None, map(shutil.which, BINARIES)), None)
        assert binary, f"none of {BINARIES} is installed"
        command = [binary, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        command += [f"--user-data-dir={folder}", "about:blank"]
        self._numbers = itertools.count(1)
        self._stack = contextlib.ExitStack()
        # A group of its own: what Debian installs is a script that starts the browser, and its children outlive it.
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, **pipes, text=True, start_new_session=True)
        self._stack.callback(process.wait, timeout=PATIENCE)
        self._stack.callback(os.killpg, process.pid, signal.SIGKILL)
        for line in process.stderr:
            if found := re.search(r"ws://\S+", line):
                break
        else:
            raise AssertionError("the browser ended before it listened")
        socket = connect(found[0], open_timeout=PATIENCE, max_size=None, proxy=None)
        self._socket = self._stack.enter_context(socket)

    def page(self):
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        answer = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})
        return Page(self, answer["sessionId"])

    def call(self, method, parameters, session=None, note=lambda event: None):
        number = next(self._numbers)
        request = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(request | ({"sessionId": session} if session else {})))
        while (message := self._receive()).get("id") != number:
            self._hand_on(message, session, note)
        assert "error" not in message, (method, message["error"])
        return message["result"]

    def until(self, method, session, note):
        while (message := self._receive()).get("method") != method:
            self._hand_on(message, session, note)

    def close(self):
        self._stack.close()

    def _receive(self):
        return json.loads(self._socket.recv(timeout=PATIENCE))

    @staticmethod
    def _hand_on(message, session, note):
        if "method" in message and message.get("sessionId") == session:
            note(message)
