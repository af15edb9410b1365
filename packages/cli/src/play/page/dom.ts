/** @file The few things the page's parts need of the document. */

/** The element of index.html with this id. @throws Error if page and script do not belong together */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}: main.js and index.html are of different versions`);
  return found as E;
}

export const input = (id: string): HTMLInputElement => byId<HTMLInputElement>(id);
export const select = (id: string): HTMLSelectElement => byId<HTMLSelectElement>(id);
export const button = (id: string): HTMLButtonElement => byId<HTMLButtonElement>(id);

/** The number in a field, or null if it is empty. */
export function numberIn(field: HTMLInputElement): number | null {
  return field.value.trim() === '' || Number.isNaN(field.valueAsNumber) ? null : field.valueAsNumber;
}

/** A place for one sentence about what went wrong, in the section it went wrong in. */
export class Sentence {
  private readonly place: HTMLElement;

  constructor(id: string) {
    this.place = byId(id);
  }

  /** @param action a button that mends it */
  say(error: unknown, action?: { readonly label: string; run(): void }): void {
    this.place.textContent = error instanceof Error ? error.message : String(error);
    if (action) {
      const mend = document.createElement('button');
      mend.type = 'button';
      mend.textContent = action.label;
      mend.addEventListener('click', () => {
        this.clear();
        action.run();
      });
      this.place.append(' ', mend);
    }
    this.place.hidden = false;
  }

  clear(): void {
    this.place.hidden = true;
    this.place.textContent = '';
  }
}

/** A new element with these children. */
export function element(tag: string, children: readonly (Node | string)[], className = ''): HTMLElement {
  const made = document.createElement(tag);
  if (className) made.className = className;
  // biome-ignore lint/plugin: the children of one element
  made.append(...children);
  return made;
}

/** Puts these children into a place, instead of those that are there. */
export function fill(place: Element, children: readonly Node[]): void {
  // biome-ignore lint/plugin: as many as a person looks at
  place.replaceChildren(...children);
}
