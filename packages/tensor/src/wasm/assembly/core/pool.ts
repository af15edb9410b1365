/**
 * @file Fork and join over shared memory. The main thread posts a job, all threads run their part of it, and the main thread
 * waits for the others. A worker without a job reads one word in a loop for some 75 microseconds, in which the next job
 * usually comes, and then sleeps until it is woken, which takes tens of microseconds.
 *
 * Every worker takes part in every job, so it sees the generations one by one.
 */

/** Counts the jobs posted. */
const GENERATION: usize = 1344;
/** The job's kernel, by number, and into how many pieces it is cut. */
const KERNEL: usize = 1348;
const PIECES: usize = 1352;
/** Workers that have finished the job. */
const DONE: usize = 1408;
/** 1 while the main thread sleeps until DONE changes. */
const JOINING: usize = 1412;
/** Workers asleep. */
const ASLEEP: usize = 1472;
/** Workers that have started. */
const READY: usize = 1476;
/** Workers whose part of the job trapped. */
const FAILED: usize = 1480;
/** How often a thread reads the word it waits for before it sleeps: some 75 microseconds. */
const SPINS = 100000;

/** Main thread: the workers may begin. */
export function postJob(kernel: i32, pieces: i32): void {
  store<i32>(KERNEL, kernel);
  store<i32>(PIECES, pieces);
  atomic.store<i32>(DONE, 0);
  atomic.add<i32>(GENERATION, 1);
  if (atomic.load<i32>(ASLEEP) > 0) atomic.notify(GENERATION, -1);
}

/** Main thread: returns when all `workers` have finished. It may sleep only where `canSleep` (not on a browser's main thread). */
export function joinJob(workers: i32, canSleep: i32): void {
  for (let spins = 0; atomic.load<i32>(DONE) != workers; spins++) {
    if (!canSleep || spins < SPINS) continue;
    atomic.store<i32>(JOINING, 1);
    const done = atomic.load<i32>(DONE);
    // A limit of a millisecond, should the last worker have looked at JOINING too early.
    if (done != workers) atomic.wait<i32>(DONE, done, 1000000);
    atomic.store<i32>(JOINING, 0);
  }
}

/** Main thread: how many workers wait asleep. */
export function workersAsleep(): i32 {
  return atomic.load<i32>(ASLEEP);
}

/** Main thread: wakes the workers before jobs that come soon, and are too short to be worth it one by one. */
export function wakeWorkers(): void {
  if (atomic.load<i32>(ASLEEP) > 0) atomic.notify(GENERATION, -1);
}

/** Main thread: how many workers have started. */
export function workersReady(): i32 {
  return atomic.load<i32>(READY);
}

/** Main thread: how many workers have trapped since the last call. */
export function takeFailures(): i32 {
  return atomic.xchg<i32>(FAILED, 0);
}

/** Worker: it has started. */
export function workerReady(): void {
  atomic.add<i32>(READY, 1);
}

/** Worker: returns the kernel of the job after generation `seen`. */
export function awaitJob(seen: i32): i32 {
  for (let spins = 0; atomic.load<i32>(GENERATION) == seen; spins++) {
    if (spins < SPINS) continue;
    atomic.add<i32>(ASLEEP, 1);
    atomic.wait<i32>(GENERATION, seen, -1);
    atomic.sub<i32>(ASLEEP, 1);
    // Woken without a job, it waits for one that comes soon.
    spins = 0;
  }
  return load<i32>(KERNEL);
}

/** Worker: how many pieces the job has. */
export function jobPieces(): i32 {
  return load<i32>(PIECES);
}

/** Worker: its part of the job is done, or trapped if `failed` is 1. */
export function finishJob(failed: i32): void {
  if (failed) atomic.add<i32>(FAILED, 1);
  atomic.add<i32>(DONE, 1);
  if (atomic.load<i32>(JOINING)) atomic.notify(DONE, 1);
}
