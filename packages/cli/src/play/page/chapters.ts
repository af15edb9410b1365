/** @file The list of chapters, which follows the reader, and the buttons that put a text in to try something. */
import { button, input, select } from './dom.ts';
import { SAMPLE_TEXT } from './sample-text.ts';

/** Marks the chapter in sight in the list, and keeps its link in sight too. */
export function followChapters(): void {
  const links = new Map(
    [...document.querySelectorAll<HTMLAnchorElement>('nav a')].map((link) => [link.hash.slice(1), link]),
  );
  // The browser leaves a link alone of which a corner is in sight.
  document.querySelector('nav ol')!.addEventListener('focusin', ({ target }) => {
    (target as Element).scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });
  const inSight = new Set<string>();
  const watch = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) inSight[isIntersecting ? 'add' : 'delete'](target.id);
      const [current] = [...links.keys()].filter((id) => inSight.has(id)).slice(-1);
      if (!current) return;
      for (const [id, link] of links) {
        if (id !== current) link.removeAttribute('aria-current');
        else if (link.getAttribute('aria-current') !== 'true') {
          link.setAttribute('aria-current', 'true');
          const list = link.closest('ol')!;
          list.scrollLeft = link.parentElement!.offsetLeft - list.clientWidth / 3;
        }
      }
    },
    // The stretch of the window that counts as being read: its upper part, below the list.
    { rootMargin: '-80px 0px -60% 0px' },
  );
  for (const section of document.querySelectorAll('main > section')) watch.observe(section);
}

/** Texts of the buttons, by their ids. */
const TEXTS: Readonly<Record<string, string>> = {
  'try-common': 'It was the sea, and the ship, and the men, and the whale of the sea, and all the men of the ship.\n',
  'try-rare':
    'It was the sea, and the ship, and the zyxomma, and the whale of the sea, and all the quokkas of the ship.\n',
  'try-book': SAMPLE_TEXT,
};

/** @param put puts a text into the field */
export function tryTexts(put: (text: string) => void): void {
  for (const [id, text] of Object.entries(TEXTS)) {
    button(id).addEventListener('click', () => put(text));
  }
}

/** The buttons of chapter 2 set a field as a hand would. */
export function tryCuts(): void {
  const set = (field: HTMLInputElement | HTMLSelectElement, value: string) => {
    field.value = value;
    field.dispatchEvent(new Event('change'));
  };
  const meanPatch = (bytes: string) => () => {
    if (!['entropy', 'monotonic'].includes(select('mode').value)) set(select('mode'), 'entropy');
    set(input('target'), bytes);
  };
  button('try-long').addEventListener('click', meanPatch('8'));
  button('try-short').addEventListener('click', meanPatch('2'));
  button('try-spaces').addEventListener('click', () => set(select('mode'), 'space'));
}
