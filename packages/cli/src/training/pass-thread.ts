/** @file A thread that computes passes of the training steps, on the memory of the main thread. */
import { parentPort } from 'node:worker_threads';
import { servePasses } from '@blt-ts/blt';

servePasses(parentPort!);
