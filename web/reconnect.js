// Whether to come back after a connection ended, and after how long. Knows no socket and no clock.

const SHORTEST_DELAY = 500;
const LONGEST_DELAY = 30_000;
// What was sent was wrong, and would be again.
const OUR_FAULT = new Set([1002, 1003, 1007, 1008, 1009, 1010]);

// A close code of 3000 and more says it itself: the lower half of a thousand asks to come back.
export function mayReturn(code) {
  return code < 3000 ? !OUR_FAULT.has(code) : code % 1000 < 500;
}

// Milliseconds until attempt 0, 1, 2…: growing, and random, so that those who were cut off together do not return together.
// A server that stops says in the reason how long it will be away. (A browser is not shown an HTTP Retry-After.)
export function delay(attempt, reason = '', random = Math.random) {
  const away = Number(/^retryAfter=(\d{1,7})$/.exec(reason)?.[1] ?? 0);
  const span = Math.min(LONGEST_DELAY, SHORTEST_DELAY * 2 ** attempt);
  return Math.round(away + span * (0.5 + random() / 2));
}
