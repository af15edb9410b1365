/** @file A process that somebody else began ends with it. */

/** Ends this process in order when the one that began it, with a channel to it, is gone, even if that was killed outright. */
export function endWithParent(): void {
  // Undefined where there is no channel: somebody has begun the process by hand.
  if (process.connected === undefined) return;
  const end = () => process.kill(process.pid, 'SIGTERM');
  // The other one may have ended before this one came here.
  if (!process.connected) end();
  process.once('disconnect', end);
  process.channel?.unref();
}
