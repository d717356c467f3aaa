"""Looks every second at what the supervisor says of its programs, over its own socket.

Decides what the supervisor does not: a required program that cannot be kept running ends the container, an optional one rests
and is started again. Writes programs.json for the API (route /server/system/programs, health), because the control socket
belongs to root.
"""
import json
import os
import re
import socket
import time

MEMBER = re.compile(r'<name>(\w+)</name>\s*<value><(\w+)>(.*?)</\2></value>', re.S)
CRASHES = 5
WITHIN_SECONDS = 60
REST_SECONDS = 30


def call(path, method, *params):
    """One XML-RPC call. By hand: the library would double the memory of process 1."""
    values = ''.join('<param><value><string>%s</string></value></param>' % value for value in params)
    body = ('<?xml version="1.0"?><methodCall><methodName>%s</methodName><params>%s</params></methodCall>' % (method, values)).encode()
    head = 'POST /RPC2 HTTP/1.0\r\nHost: supervisor\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n' % len(body)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        connection.connect(path)
        connection.sendall(head.encode() + body)
        answer = b''
        while True:
            piece = connection.recv(65_536)
            if not piece:
                return answer.decode('utf8', 'replace')
            answer += piece
            if b'</methodResponse>' in answer:
                return answer.decode('utf8', 'replace')


def programs_of(answer):
    """The list of getAllProcessInfo; one struct per program."""
    for struct in answer.split('<struct>')[1:]:
        if '<name>statename</name>' in struct:  # anything else is a refusal, as while it stops
            yield {name: int(value) if kind in ('int', 'i4') else value for name, kind, value in MEMBER.findall(struct)}


class ProgramWatch:
    def __init__(self, run, logs, required, optional, lock):
        self.logs = logs
        self.lock = lock
        self.socket = run + '/supervisor.sock'
        self.file = run + '/programs.json'
        self.required = required
        self.optional = optional
        self.pids = {}
        self.restarts = {}
        self.crashes = {}
        self.resting = {}
        self.failure = None

    def look(self):
        """Returns whether the supervisor answered. `failure` says then why the container must end, or is None."""
        try:
            found = list(programs_of(call(self.socket, 'supervisor.getAllProcessInfo')))
        except OSError:
            return False  # not up yet, or stopping
        now = time.time()
        for one in found:
            self.judge(one['name'], one, now)
            if one['name'] == 'postgres':
                self.keep_lock(one['pid'])
        self.write(found, now)
        return True

    def judge(self, name, one, now):
        pid, before = one['pid'], self.pids.get(name)
        if pid != 0 and pid != before:
            if before is not None and name not in self.resting:
                self.restarts[name] = self.restarts.get(name, 0) + 1
                recent = [then for then in self.crashes.get(name, []) if now - then < WITHIN_SECONDS]
                self.crashes[name] = [*recent, now]
            self.resting.pop(name, None)
            self.pids[name] = pid
        is_fatal = one['statename'] == 'FATAL'
        is_looping = len(self.crashes.get(name, [])) >= CRASHES and name not in self.resting
        if name in self.required and (is_fatal or is_looping):
            what = 'could not be started' if is_fatal else 'ended %d times within %d s' % (CRASHES, WITHIN_SECONDS)
            self.failure = self.failure or 'the required program %s %s' % (name, what)
        elif name in self.optional and (is_fatal or is_looping) and name not in self.resting:
            self.crashes[name] = []
            self.resting[name] = now + REST_SECONDS
            self.tell('supervisor.stopProcess', name)
        elif name in self.resting and now >= self.resting[name] and pid == 0:
            self.resting[name] = now + REST_SECONDS
            self.tell('supervisor.startProcess', name)

    def keep_lock(self, pid):
        """PostgreSQL does not know of the lock of its folder; untouched for 8 s another container takes it for abandoned."""
        try:
            with open(self.lock, encoding='utf8') as file:
                owner = json.load(file)
            if pid != 0 and owner['pid'] == pid and owner['pidNamespace'] == os.readlink('/proc/self/ns/pid'):
                os.utime(self.lock)
        except (OSError, ValueError, KeyError):
            pass  # being replaced, or not there yet

    def tell(self, method, name):
        try:
            call(self.socket, method, name)
        except OSError:
            pass  # seen again a second later

    def write(self, found, now):
        programs = [
            {
                'name': one['name'],
                'state': 'BACKOFF' if one['name'] in self.resting else one['statename'],
                'pid': one['pid'] or None,
                'started_at': one['start'] or None,
                'restarts': self.restarts.get(one['name'], 0),
                'log_file': '%s/%s.log' % (self.logs, one['name']),
                'required': one['name'] in self.required,
                'exit_status': one['exitstatus'] if one['pid'] == 0 else None,
            }
            for one in found
        ]
        draft = self.file + '.draft'
        with open(draft, 'w', encoding='utf8') as file:
            json.dump({'written_at': now, 'programs': programs}, file, separators=(',', ':'))
        os.replace(draft, self.file)
