// One command from a fresh clone to a trained Byte Latent Transformer: install, build, train on a book, sample. Flags are those of
// `blt train`. On x64, a Node without 256-bit vectors has a newer one fetched into the clone first, because that trains up to twice
// as fast; `--this-node` leaves it out.
import { pinnedNode } from './other-node.mjs';
import { install, step } from './workspace.mjs';

const args = process.argv.slice(2);
await install();
await step('building', process.execPath, ['scripts/build.mjs', '--js']);
const { wideVectorsWith } = await import('../packages/tensor/dist/index.js');
const { node } = process.versions;
if (!wideVectorsWith(node) && wideVectorsWith('24.0.0') && !args.includes('--this-node')) {
  console.log(
    '\n> fetching Node 24 from the npm registry into node_modules/.cache (its vectors are twice as wide; once)',
  );
  try {
    pinnedNode('24');
  } catch (error) {
    console.log(`it could not be had, so Node ${node} trains: ${error.message}`);
  }
}
await step('training on Moby Dick', process.execPath, ['packages/cli/dist/blt.js', 'train', ...args]);
