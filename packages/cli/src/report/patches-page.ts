/** @file The page of `blt patch --html`. */
import { patchSummary } from '../terminal/patch-view.ts';
import { ENTROPY_STRIP_CSS, entropyStrip, type PatchedBytes } from './entropy-strip.ts';
import { escapeHtml, htmlPage } from './html-page.ts';

/** The contents of the page of `blt patch --html`. Plain JSON. */
export interface PatchesData extends PatchedBytes {
  /** Where the bytes came from. */
  source: string;
  /** `entropy`, `space`, ... with its parameters in words. */
  mode: string;
  /** Which entropy model, when there is one. */
  model?: string;
}

const CSS = `
main { max-width: 1200px; }
h1:not(:first-child) { margin-top: 64px; }
.sizes { display: grid; grid-template-columns: max-content max-content 1fr; gap: 2px 12px; align-items: center; font-size: 0.9rem; }
.sizes i { height: 12px; background: var(--curve); border-radius: 2px; }
`;

/**
 * The page of `blt patch --html`: for every document the entropy curve with its cuts, then how many patches there are of each length.
 * @param documents at least one
 */
export function renderPatchesHtml(documents: readonly PatchesData[]): string {
  const title =
    documents.length === 1 ? `Patches of ${documents[0].source}` : `Patches of ${documents.length} documents`;
  return htmlPage(title, documents.map(section).join('\n'), ENTROPY_STRIP_CSS + CSS);
}

function section(data: PatchesData): string {
  const facts = [data.mode, data.model].filter((fact) => fact !== undefined);
  return `<h1>Patches of ${escapeHtml(data.source)}</h1>
<p class="muted">${escapeHtml(facts.join(', '))}</p>
<p>${escapeHtml(patchSummary(data.patchLengths).replaceAll('  ', ' · '))}</p>
${entropyStrip(data)}
<h2>Patch lengths</h2>
${lengthTable(data.patchLengths)}`;
}

/** Lengths of this many bytes and more share a row. */
const LAST_LENGTH = 24;

function lengthTable(lengths: readonly number[]): string {
  const counts = new Map<number, number>();
  for (const length of lengths) {
    if (length > 0) counts.set(Math.min(length, LAST_LENGTH), (counts.get(Math.min(length, LAST_LENGTH)) ?? 0) + 1);
  }
  if (counts.size === 0) return '<p class="muted">There are none.</p>';
  const most = [...counts.values()].reduce((a, b) => Math.max(a, b));
  const rows = [...counts.entries()]
    .sort(([a], [b]) => a - b)
    .map(([length, count]) => {
      const unit = length === 1 ? 'byte' : 'bytes';
      const name = length === LAST_LENGTH ? `${length} ${unit} or more` : `${length} ${unit}`;
      const width = ((100 * count) / most).toFixed(1);
      return `<span class="number">${name}</span><span class="number">${count}</span><i style="width:${width}%"></i>`;
    });
  return `<div class="sizes">${rows.join('\n')}</div>`;
}
