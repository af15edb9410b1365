/** @file The frame of every HTML page that the command writes. */
/** The five characters that mean something in HTML, in text and in quoted attributes. Everything that is data passes through here. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ESCAPES[char]);
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Light and dark by the reader's setting; one column that fits a phone. */
const BASE_CSS = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --panel: #f5f6f8; --ink: #1b1e24; --muted: #5c6470; --line: #d8dce2;
  --train: #7aa5dd; --held: #c2410c; --threshold: #d1242f; --curve: #1f6feb; --patch: #e8eefb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171c; --panel: #1d2128; --ink: #e6e9ee; --muted: #9aa4b2; --line: #343b46;
    --train: #5b83b8; --held: #fb923c; --threshold: #ff6b6b; --curve: #6cb0ff; --patch: #222f45;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 40px 0 12px; }
p { margin: 8px 0; }
.muted { color: var(--muted); }
.number { font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 6px 8px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 500; color: var(--muted); }
pre, code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 0.85rem; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: 12px; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; }
`;

/**
 * A whole page that needs nothing else: no script, no font, no request. The content security policy says so to the browser too, in
 * case some text slipped through unescaped.
 * @param body HTML, already escaped   @param css styles of the parts used
 */
export function htmlPage(title: string, body: string, css = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>${escapeHtml(title)}</title>
<style>${BASE_CSS}${css}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
}
