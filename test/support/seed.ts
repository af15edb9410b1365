// One seed for every property of a run, where one is given: `npm test` fixes it, so that a red run can be replayed anywhere;
// `pnpm test:unit` and `pnpm test:slow` draw fresh ones, and a failure prints its own.
import fc from 'fast-check';

const { BLT_SEED } = process.env;
if (BLT_SEED !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(BLT_SEED) });
