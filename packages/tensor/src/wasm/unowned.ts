/**
 * @file Storages that no scope owns. The garbage collector must find the dead ones, but it does not see the WebAssembly memory, and it
 * tells nobody of what it found before the running job ends. So these storages are counted. Beyond a threshold those that were not used
 * for the longest time move out of the memory, each into an array of its own that nothing but its tensors refers to. The collector sees
 * the bytes of such an array and takes it with its tensors, even in the middle of a job. A storage that is used again moves back.
 */
import type { Storage } from '../backend.ts';
import type { Heap } from './heap.ts';

/** The place of a storage's values, where that may change: a handle. */
export class Place {
  /** In the WebAssembly memory; meaningless while they are aside. */
  address: number;
  readonly bytes: number;
  /** The values, while they are outside. */
  aside: Int32Array | null = null;
  /** The call that used it last. */
  lastUse = 0;
  /** Whether the collector decides when it is freed. */
  unowned = false;
  /** The last use at the time it was put at the end of the list. */
  listed = 0;
  /** Recordings, and other backends, that have the address written down. */
  pins = 0;
  /** Another backend on the same memory owns the values. */
  borrowed = false;
  /** Its part of the threshold. */
  credit = 0;

  constructor(address: number, bytes: number) {
    this.address = address;
    this.bytes = bytes;
  }
}

/** JavaScript objects behind a tensor, rounded up: many small tensors are pressure too. */
const OVERHEAD = 4096;
const weight = ({ bytes }: Place): number => bytes + OVERHEAD;
/** At least so much is moved out at once when the memory is full. */
const CHUNK = 2 ** 26;
/** At most so many bytes move out before `collect` is called. */
const PORTION = 2 ** 28;

/**
 * Collects at once in Bun, and does nothing elsewhere. JavaScriptCore counts a WebAssembly memory twice and lets as many bytes of dead arrays
 * wait as it counts, so a memory of 1 GiB would have 2 GiB of them beside it. V8 collects by the bytes of the arrays alone.
 */
const collect = (): void => void (globalThis as { Bun?: { gc?(now: boolean): unknown } }).Bun?.gc?.(true);

/** The unowned storages inside the memory, those used least recently first. */
export class Unowned {
  private readonly heap: Heap;
  /** The whole memory, as it is now. */
  private readonly words: () => Int32Array;
  private readonly least: number;
  private readonly list = new Set<Place>();
  private readonly registry = new FinalizationRegistry<Place>((place) => this.drop(place, true));
  private weight = 0;
  /** Twice the bytes that came back. These are alive, so the threshold is `least` and this. */
  private credit = 0;
  private call = 0;
  /** Bytes that moved out since a collection was asked for. */
  private moved = 0;
  /** False while a recording is made: what is freed then is the recording's. */
  mayMove = true;

  /** @param least bytes that stay inside in any case */
  constructor(heap: Heap, words: () => Int32Array, least: number) {
    this.heap = heap;
    this.words = words;
    this.least = least;
  }

  /** A storage becomes the collector's. */
  add(storage: Storage): void {
    const { handle } = storage;
    const place = handle instanceof Place ? handle : new Place(handle as number, storage.length * 4);
    if (place.borrowed) return;
    storage.handle = place;
    place.unowned = true;
    place.lastUse = ++this.call;
    this.watch(storage, place);
    if (this.mayMove) this.shrinkTo(Math.min(this.least + this.credit, 0.75 * this.heap.limit));
  }

  /** A storage is freed by its owner. */
  free(place: Place): void {
    if (place.unowned && !place.aside) {
      this.registry.unregister(place);
      this.drop(place, true);
    } else if (!place.aside && !place.borrowed) this.heap.free(place.address, place.bytes);
  }

  /** A call begins; `use` names its operands. They stay inside until the next one. */
  nextCall(): void {
    this.call++;
  }

  /** @returns whether it has to be fetched */
  use(place: Place): boolean {
    place.lastUse = this.call;
    return place.aside !== null;
  }

  /** Moves the values of a storage back. */
  fetch(storage: Storage, place: Place): void {
    const { aside, bytes } = place;
    if (!aside) return;
    place.address = this.heap.allocate(bytes);
    this.words().set(aside, place.address / 4);
    place.aside = null;
    place.credit = 2 * weight(place);
    this.credit += place.credit;
    this.watch(storage, place);
  }

  /** The memory is full: moves some storages out. @returns whether there were any */
  makeRoom(): boolean {
    const before = this.weight;
    this.shrinkTo(before - CHUNK);
    return this.weight < before;
  }

  private watch(storage: Storage, place: Place): void {
    this.registry.register(storage, place, place);
    this.weight += weight(place);
    place.listed = place.lastUse;
    this.list.add(place);
  }

  /** Takes a place off the list. */
  private drop(place: Place, free: boolean): void {
    this.list.delete(place);
    this.weight -= weight(place);
    this.credit -= place.credit;
    place.credit = 0;
    if (free) this.heap.free(place.address, place.bytes);
  }

  private shrinkTo(most: number): void {
    // A place that was used since it was listed goes to the end once, and is looked at again.
    let left = 2 * this.list.size;
    for (const place of this.list) {
      if (this.weight <= most || left-- === 0) return;
      if (place.pins > 0 || place.lastUse > place.listed || place.lastUse === this.call) {
        this.list.delete(place);
        place.listed = place.lastUse;
        this.list.add(place);
      } else this.moveOut(place);
    }
  }

  private moveOut(place: Place): void {
    const at = place.address / 4;
    place.aside = this.words().slice(at, at + place.bytes / 4);
    this.registry.unregister(place);
    this.drop(place, true);
    this.moved += place.bytes;
    if (this.moved < Math.min(PORTION, this.least)) return;
    this.moved = 0;
    collect();
  }
}
