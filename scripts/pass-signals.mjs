// A child process as if it were this one: signals go on to it, and this process ends after it and as it did.
import { spawn } from 'node:child_process';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/**
 * Runs a command with this process's terminal.
 * A Ctrl-C reaches both processes and is passed on as well; blt takes two that come together for one.
 * @returns its exit code and the signal that ended it, one of the two null
 */
export function runChild(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    const handlers = SIGNALS.map((signal) => [signal, () => void child.kill(signal)]);
    for (const [signal, handler] of handlers) process.on(signal, handler);
    const done = () => {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    };
    child.on('error', (error) => {
      done();
      reject(error);
    });
    child.on('exit', (status, signal) => {
      done();
      resolve({ status, signal });
    });
  });
}

/** Ends this process as the child ended: with its exit code, or by its signal. */
export function endAs({ status, signal }) {
  if (signal) process.kill(process.pid, signal);
  // A signal takes a moment; one that does not end this process (SIGKILL does) leaves the code a shell would report.
  process.exitCode = status ?? 1;
}
