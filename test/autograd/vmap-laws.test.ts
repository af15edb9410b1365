/** @file vmap of every operation is the operation of each example: the laws of the batching rules. */
import { kernelNames, libraryNames, vmapLaws } from '@blt-ts/autograd/testing';
import { describe } from 'vitest';
import { holdLaws } from '../support/property.ts';

describe('of every kernel', () => {
  for (const kernel of kernelNames) holdLaws(vmapLaws(kernel));
});

describe('of every operation of the library', () => {
  for (const name of libraryNames) holdLaws(vmapLaws(name), 3);
});
