"""Runs tests beside each other: those that mostly wait for time to pass, and share nothing but the world."""

import concurrent.futures
import os
import unittest

JOBS = int(os.environ.get("HEAL_JOBS", "8"))
"""How many at a time."""


class Recording(unittest.TestResult):
    """Keeps what is reported of one test, to report it to another result later."""

    def __init__(self):
        super().__init__()
        self.reports = []

    def replay(self, result):
        for report, arguments in self.reports:
            getattr(result, report)(*arguments)


def recorder(name):
    def record(self, *arguments):
        self.reports.append((name, arguments))

    return record


for method in (
    "startTest", "stopTest", "addSuccess", "addError", "addFailure", "addSkip", "addSubTest",
    "addExpectedFailure", "addUnexpectedSuccess",
):
    setattr(Recording, method, recorder(method))


class AtOnce(unittest.TestSuite):
    """Runs its tests beside each other, and reports each when it ends. Classes are set up before the first test and
    torn down after the last. What the tests share must have been built before: `prepare` is called for that."""

    def __init__(self, tests, prepare):
        super().__init__(tests)
        self.prepare = prepare

    def run(self, result, debug=False):
        tests = list(leaves(self))
        if tests:
            self.prepare()
        classes = dict.fromkeys(type(test) for test in tests)
        for each in classes:
            each.setUpClass()
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            running = [pool.submit(recording_of, test) for test in tests]
            for done in concurrent.futures.as_completed(running):
                done.result().replay(result)
        for each in classes:
            each.tearDownClass()
        return result


def recording_of(test):
    recording = Recording()
    test.run(recording)
    return recording


def leaves(tests):
    """The tests of a suite and of the suites in it."""
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            yield from leaves(test)
        else:
            yield test
