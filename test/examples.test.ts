/** @file The examples run, and print what they say. */
import { describe, expect, test, vi } from 'vitest';

const PRINTED: Record<string, string[]> = {
  'custom-op': [
    'Tensor(f32 [4]) [2.5000, 0.1250, 0.0313, 1.5000] Tensor(f32 [4]) [-1.0000, -0.5000, 0.2500, 1.0000]',
    'gradcheck: true',
    'Tensor(f32 [4]) [2.5000, 0.1250, 0.0313, 1.5000] Tensor(f32 [4]) [-1.0000, -0.5000, 0.2500, 1.0000]',
    'gradcheck: true',
  ],
};

describe('examples', () => {
  test.each(Object.entries(PRINTED))('%s', async (name, lines) => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    try {
      await import(`../examples/${name}.ts`);
      expect(log.mock.calls.map(([line]) => line)).toEqual(lines);
    } finally {
      log.mockRestore();
    }
  });
});
