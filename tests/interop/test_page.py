"""The demo chat that a server in dev mode shows: people in Chromium talk by it, and miss nothing while they or the server are away."""

import json
import urllib.parse

import pytest

from longwire import Server


class Person:
    """Somebody who sits before the demo page, and does with it what it shows."""

    def __init__(self, browser, server, name):
        self.name, self.page = name, browser.page()
        self.page.open(server.url.replace("ws:", "http:"))
        self.submit("sign-in", "name", name)
        self.sees_state(f"online as {name}")

    def submit(self, form, field, text, button="button"):
        self.until(f"document.querySelector('#{form} {button}')?.checkVisibility()")
        write = f"document.getElementById('{field}').value = {json.dumps(text)}"
        self.page.evaluate(f"{write}; document.querySelector('#{form} {button}').click()")

    def until(self, holds):
        """Waits until an expression is true; the browser's patience bounds it."""
        self.page.evaluate(f"new Promise((told) => {{ const look = () => ({holds}) ? told() : setTimeout(look, 10); look(); }})")

    def sees_state(self, text):
        self.until(f"document.getElementById('state').textContent.startsWith({json.dumps(text)})")

    def write_to(self, name, kind="to"):
        title = name if kind == "to" else f"# {name}"
        self.submit("start", "with", name, f"button[value={kind}]")
        self.until(f"document.getElementById('title').textContent === {json.dumps(title)}")

    def say(self, text):
        self.submit("compose", "text", text)

    def show(self, title):
        """Opens a conversation of the list."""
        found = f"[...document.querySelectorAll('#conversations button')].find((b) => b.querySelector('.title').textContent === {json.dumps(title)})"
        self.until(found)
        self.page.evaluate(f"void {found}.click()")
        self.until(f"document.getElementById('title').textContent === {json.dumps(title)}")

    def sees(self, *lines):
        """Waits until the conversation has these lines and no others; each ends with what is known of it."""
        shown = "[...document.querySelectorAll('#messages li')].map((line) => [line.firstChild.data, line.querySelector('small').textContent])"
        fits = "((shown, lines) => shown.length === lines.length && shown.every(([text, about], n) => text === lines[n][0] && about.includes(lines[n][1])))"
        self.until(f"{fits}({shown}, {json.dumps(lines)})")

    def sees_unread(self, title, count):
        one = f"(b) => b.querySelector('.title').textContent === {json.dumps(title)} && b.querySelector('.unread')?.textContent === '{count}'"
        self.until(f"[...document.querySelectorAll('#conversations button')].some({one})")

    def reload(self):
        self.page.open(self.page.evaluate("location.href"))
        self.sees_state(f"online as {self.name}")

    def leave(self):
        self.page.evaluate("document.getElementById('sign-out').click()")
        self.sees_state("signed out")


@pytest.fixture
def person(server, browser, name):
    people = []

    def open(stem, server=server):
        people.append(Person(browser, server, name(stem)))
        return people[-1]

    yield open
    for one in people:
        one.page.call("Page.close")


def test_two_people_write_to_each_other_and_see_what_was_read(person):
    alice, bob = person("alice"), person("bob")
    alice.write_to(bob.name)
    alice.say("Hello, <b>Bob</b>!")
    alice.sees(["Hello, <b>Bob</b>!", "received"])
    bob.sees_unread(alice.name, 1)
    bob.show(alice.name)
    alice.sees(["Hello, <b>Bob</b>!", "read"])
    bob.say("Hello, Alice!")
    alice.sees(["Hello, <b>Bob</b>!", "read"], ["Hello, Alice!", bob.name])
    assert alice.page.complaints == bob.page.complaints == []


def test_three_people_talk_in_a_group(person, name):
    people = [person(stem) for stem in ("alice", "bob", "carol")]
    for one in people:
        one.write_to(name("garden"), "group")
    people[0].until("document.getElementById('members').textContent === '3 members'")
    people[0].say("Who waters it?")
    for other in people[1:]:
        other.sees(["Who waters it?", people[0].name])
    people[0].sees(["Who waters it?", "read by 2"])
    people[1].page.evaluate("document.getElementById('leave').click()")
    people[0].until("document.getElementById('members').textContent === '2 members'")


def test_what_was_said_meanwhile_is_there_on_return(person):
    alice, bob = person("alice"), person("bob")
    bob.leave()
    alice.write_to(bob.name)
    alice.say("Are you there?")
    alice.sees(["Are you there?", "sent"])
    bob.submit("sign-in", "name", bob.name)
    bob.sees_state("online")
    bob.sees_unread(alice.name, 1)
    bob.show(alice.name)
    bob.sees(["Are you there?", alice.name])
    alice.sees(["Are you there?", "read"])


def test_a_page_that_is_loaded_again_shows_each_message_once(person):
    alice, bob = person("alice"), person("bob")
    alice.write_to(bob.name)
    for text in ("one", "two", "three"):
        alice.say(text)
    said = [["one", ""], ["two", ""], ["three", ""]]
    alice.sees(*said)
    for one, other in ((alice, bob), (bob, alice), (alice, bob)):
        one.reload()
        one.show(other.name)
        one.sees(*said)


def test_what_is_written_while_the_server_is_away_is_sent_once_when_it_is_back(person, tmp_path):
    kept = ("--durability", "os", "--data-dir", tmp_path)
    with Server(*kept) as first:
        port = urllib.parse.urlsplit(first.url).port
        alice, bob = person("alice", first), person("bob", first)
        alice.write_to(bob.name)
        alice.say("before")
        bob.show(alice.name)
        alice.sees(["before", "read"])
    alice.sees_state("offline")
    alice.say("meanwhile")
    alice.sees(["before", "read"], ["meanwhile", "waiting"])
    with Server(*kept, "--listen", f"127.0.0.1:{port}"):
        for one in (alice, bob):
            one.until("document.getElementById('state').dataset.state !== 'connecting'")
            one.page.evaluate("document.getElementById('retry').click()")
            one.sees_state("online")
        alice.sees(["before", "read"], ["meanwhile", "read"])
        bob.sees(["before", alice.name], ["meanwhile", alice.name])


def test_what_goes_wrong_is_told_with_what_to_do(person):
    alice = person("alice")
    alice.submit("start", "with", "no name", "button[value=group]")
    alice.until("document.getElementById('problem').textContent.startsWith('Names have')")
    assert alice.page.complaints == []
