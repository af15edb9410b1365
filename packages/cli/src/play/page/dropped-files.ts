/** @file Files that were chosen or dropped: a text to look at, or the files of a checkpoint folder. */
import { humanBytes } from '../../terminal/human-units.ts';
import type { FileAt } from '../checkpoint-files.ts';

/** Text beyond this is for the command line. */
export const MAX_TEXT_BYTES = 16e6;

/** @throws Error in one sentence for a file that is empty, too large or unreadable */
export async function readText(file: File): Promise<Uint8Array> {
  if (file.size === 0) throw new Error(`${file.name} is empty: 0 bytes have no patches; choose another file`);
  if (file.size > MAX_TEXT_BYTES) {
    throw new Error(
      `${file.name} is ${humanBytes(file.size)}; this page reads up to ${humanBytes(MAX_TEXT_BYTES)}. For more: blt train --data ${file.name}`,
    );
  }
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} could not be read: is it a folder, or has it changed since it was chosen?`);
  }
}

/** The files of an `<input type=file>`, with their paths if it was a folder. */
export const chosenFiles = (list: FileList | null): FileAt[] =>
  [...(list ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

/** Whether these look like a checkpoint rather than a text. */
export const looksLikeCheckpoint = (files: readonly FileAt[]): boolean =>
  files.some(({ path }) => /(^|\/)(model\.safetensors|config\.json)$/.test(path));

/** More files than this is no checkpoint folder; somebody dropped their home. */
const MAX_FILES = 2000;

/** Everything that was dropped, folders entered. */
export async function droppedFiles(transfer: DataTransfer): Promise<FileAt[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry != null);
  if (entries.length === 0) return chosenFiles(transfer.files);
  const found: FileAt[] = [];
  for (const entry of entries) await collect(entry, found);
  return found;
}

async function collect(entry: FileSystemEntry, found: FileAt[]): Promise<void> {
  if (found.length >= MAX_FILES) return;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    found.push({ path: entry.fullPath.replace(/^\//, ''), file });
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A reader hands out a hundred at a time, and nothing when it is done.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const one of some) await collect(one, found);
  }
}
