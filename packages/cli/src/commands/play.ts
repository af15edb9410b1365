/** @file `blt play`: serves the page in the browser, or writes it to a folder. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { basename, join, resolve, sep } from 'node:path';
import { openModelFolder } from '../files/checkpoint-files.ts';
import { packageFolder } from '../files/package-folder.ts';
import { readSmallFile } from '../files/small-file.ts';
import { untilInterrupted } from '../http/listen.ts';
import { pageFor, type Site, serveSite } from '../play/server.ts';
import { findModel } from '../run/find-model.ts';
import { reason, UserError } from '../terminal/errors.ts';
import { say } from '../terminal/output.ts';

export interface PlayFlags {
  readonly port?: number;
  readonly model?: string;
  readonly build?: string;
  /** False with --no-open. */
  readonly open: boolean;
}

/** Used where --port is not given; if it is taken, any free one. */
const PORT = 8258;

const MODEL_FILES = ['config.json', 'model.safetensors'];

/** The built page. @throws UserError if it has not been built */
function pageFolder(): string {
  const folder = join(packageFolder(), 'dist', 'play');
  if (existsSync(join(folder, 'main.js'))) return folder;
  throw new UserError('the page has not been built: there is no dist/play; run: node scripts/build.mjs', 1);
}

/** The model folder that the page is to load, opened now so that a wrong one is told here. @throws UserError, ConfigError */
async function modelFolder(path: string): Promise<{ folder: string; name: string }> {
  const folder = await findModel(path);
  const { layout } = openModelFolder(folder);
  if (layout === 'facebook' || !existsSync(join(folder, 'model.safetensors'))) {
    const why = layout === 'facebook' ? 'it is in the layout of facebookresearch/blt' : 'its weights are in shards';
    throw new UserError(
      `the page cannot load ${folder}: ${why}, and a page reads one model.safetensors; make it one: blt import ${folder} --out DIR`,
      1,
    );
  }
  const name = basename(resolve(path));
  return { folder, name: folder === path ? name : `${name}/${basename(folder)}` };
}

/** `blt play`: serves the page until it is interrupted, or writes it to a folder. @returns the exit code */
export async function playCommand(flags: PlayFlags): Promise<number> {
  const page = pageFolder();
  const model = flags.model === undefined ? null : await modelFolder(flags.model);
  const index = await pageFor(join(page, 'index.html'), model?.name ?? null);
  const names = readdirSync(page).filter((name) => name !== 'index.html');
  if (flags.build !== undefined) return writePage(flags.build, page, names, index, model?.folder ?? null);

  const site: Site = new Map<string, { path: string } | { text: string }>([
    ['/index.html', { text: index }],
    ...names.map((name): [string, { path: string }] => [`/${name}`, { path: join(page, name) }]),
    ...(model ? MODEL_FILES : []).map((name): [string, { path: string }] => [
      `/model/${name}`,
      { path: join(model!.folder, name) },
    ]),
  ]);
  const { server, port } = await serveSite(site, flags.port ?? PORT).catch((error) => {
    if (flags.port !== undefined) throw error;
    return serveSite(site, 0);
  });
  const url = `http://127.0.0.1:${port}/`;
  say(`${url}  (this machine only; Ctrl-C ends it)`);
  if (flags.open) openBrowser(url);
  await untilInterrupted(server);
  return 0;
}

/** Mark of an index.html that was written here. */
const OWN_PAGE = '<meta name="blt-model"';

/** @throws UserError if the page would be written over files that are not a page of this command */
function refuseForeign(folder: string, names: readonly string[]): void {
  const there = names.filter((name) => existsSync(join(folder, name)));
  if (there.length === 0) return;
  const index = join(folder, 'index.html');
  try {
    if (existsSync(index) && readSmallFile(index).includes(OWN_PAGE)) return;
  } catch {
    // A folder, a pipe or something large of that name is no page of ours either.
  }
  throw new UserError(
    `${folder} already holds ${there.join(', ')}, which blt play did not write; nothing is overwritten: name another folder`,
    2,
  );
}

/** A file of the model for a page that others will read. @throws UserError if it is a link to a file elsewhere */
function ownFile(folder: string, name: string): string {
  const [place, file] = [realpathSync(folder), realpathSync(join(folder, name))];
  if (file !== join(place, name) && !file.startsWith(place + sep)) {
    throw new UserError(
      `${join(folder, name)} is a link to ${file}, outside the folder; what lies there would be published: put the file itself there`,
      1,
    );
  }
  return file;
}

async function writePage(
  folder: string,
  page: string,
  names: readonly string[],
  index: string,
  model: string | null,
): Promise<number> {
  const modelFiles = model === null ? [] : MODEL_FILES.map((name): [string, string] => [name, ownFile(model, name)]);
  refuseForeign(folder, ['index.html', ...names, ...modelFiles.map(([name]) => join('model', name))]);
  try {
    await mkdir(resolve(folder), { recursive: true });
    await writeFile(join(folder, 'index.html'), index);
    for (const name of names) await copyFile(join(page, name), join(folder, name));
    if (modelFiles.length > 0) await mkdir(join(folder, 'model'), { recursive: true });
    for (const [name, file] of modelFiles) await copyFile(file, join(folder, 'model', name));
  } catch (error) {
    throw new UserError(`cannot write the page to ${folder}: ${reason(error)}`, 1, { cause: error });
  }
  say(
    `${folder}: put it on any web host. For threads the host must send Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.`,
  );
  return 0;
}

/** Asks the system for a browser; where there is none the printed address has to do. */
function openBrowser(url: string): void {
  const [command, args] =
    process.platform === 'darwin'
      ? ['open', [url]]
      : process.platform === 'win32'
        ? ['cmd', ['/c', 'start', '', url]]
        : ['xdg-open', [url]];
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}
