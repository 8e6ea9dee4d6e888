"""Waiting for what may be cancelled, may fail, and may come too late."""

import asyncio
import gc
import unittest
from typing import Any, Dict, List

from .support import soon
from chatixia_client.cancelling import within


class Within(unittest.IsolatedAsyncioTestCase):
    async def test_a_cancellation_that_comes_together_with_the_result_counts(self) -> None:
        work: "asyncio.Future[int]" = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(within(5, work))
        await asyncio.sleep(0)
        work.set_result(1)
        waiting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await soon(waiting)

    async def test_what_is_late_is_cancelled_and_has_ended(self) -> None:
        ended = False

        async def work() -> None:
            nonlocal ended
            try:
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0)
                ended = True

        with self.assertRaises(asyncio.TimeoutError):
            await soon(within(0.01, work()))
        self.assertTrue(ended)

    async def test_a_result_in_time_is_given_and_an_error_raised(self) -> None:
        async def work(number: int) -> int:
            return 1 // number

        self.assertEqual(await within(5, work(1)), 1)
        self.assertEqual(await within(None, work(1)), 1)
        with self.assertRaises(ZeroDivisionError):
            await within(5, work(0))

    async def test_a_failure_that_nobody_waits_for_any_more_is_nothing_to_be_warned_of(self) -> None:
        warnings: List[Dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: warnings.append(context))
        waiting = asyncio.ensure_future(within(5, self.fail_when_cancelled()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await soon(waiting)
        gc.collect()
        await asyncio.sleep(0)
        self.assertEqual(warnings, [])

    async def fail_when_cancelled(self) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise ZeroDivisionError
