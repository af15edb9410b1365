// One command from a fresh clone to a trained Byte Latent Transformer: install, build, train on a book, sample.
import { install, step } from './workspace.mjs';

await install();
await step('building', process.execPath, ['scripts/build.mjs', '--js']);
await step('training on Moby Dick', process.execPath, ['packages/cli/dist/blt.js', 'train', ...process.argv.slice(2)]);
