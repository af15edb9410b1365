/**
 * @file A module of its own that unpacks the others: they travel in the format LZMA, as `xz --format=lzma` and 7-Zip write it, because it
 * takes a fifth less than gzip makes of the same bytes. Each bit is decoded with a probability of its own, which learns from the bits
 * before it. A bit says whether a byte follows or a copy of bytes that came before. Others are those of the byte, or of the distance and
 * the length of the copy. In TypeScript this takes ten times as long, because nothing of it is compiled yet when it runs.
 *
 * The numbers of variables come after all the rest, because without them a piece of code is more often the same as one before.
 */

import { PACKED } from '../arguments/layout';

/** Where the caller writes the packed bytes. The content follows behind them. */
const INPUT: usize = PACKED;

/** A probability is a number of 11 bits, the chance of a 0. It moves by a 32nd of the way to each bit. */
const CERTAIN: u32 = 2048;
const RATE: u32 = 5;

// Numbers of the first probability of each question. Many depend on the state (12), which says what the last few steps were, or on the
// place in the output modulo 4.
/** Is it a copy? */
const COPY: u32 = 0;
/** Is its distance one of the last four? If so, is it not the first, the second, the third, and is it of more than one byte? */
const AGAIN: u32 = COPY + 12 * 4;
const NOT_FIRST: u32 = AGAIN + 12;
const LONG: u32 = NOT_FIRST + 3 * 12;
/** The length: two questions, then trees of 3 bits by place, of 3 by place, and of 8. */
const LENGTH: u32 = LONG + 12 * 4;
const LENGTH_SIZE: u32 = 2 + 32 + 32 + 256;
const LENGTH_AGAIN: u32 = LENGTH + LENGTH_SIZE;
/** The distance: its number of bits and the second of them, by length; the others; and the lowest four if it is large. */
const DISTANCE: u32 = LENGTH_AGAIN + LENGTH_SIZE;
const DISTANCE_REST: u32 = DISTANCE + 4 * 64;
const DISTANCE_LOW: u32 = DISTANCE_REST + 128;
/** A byte, by the three highest bits of the one before it: alone, and where a copy would have put a 0 or a 1. */
const BYTE: u32 = DISTANCE_LOW + 16;
const BYTE_SIZE: u32 = 3 * 256;
const PROBABILITIES: u32 = BYTE + 8 * BYTE_SIZE;

/** The next packed byte. */
let input: usize = INPUT;
/** The width of the interval of the range coder, and the place in it that the rest of the bytes names. */
let range: u32 = 0xffffffff;
let code: u32 = 0;

/** Takes a byte as soon as the interval has become narrow. */
function widen(): void {
  if (range >> 24) return;
  range <<= 8;
  code = (code << 8) | load<u8>(input++);
}

/** A bit of the probability with this number. */
function bit(number: u32): u32 {
  const address: usize = number << 1;
  const p: u32 = load<u16>(address);
  const bound = (range / CERTAIN) * p;
  const one = code >= bound;
  if (one) {
    range -= bound;
    code -= bound;
    store<u16>(address, p - (p >> RATE));
  } else {
    range = bound;
    store<u16>(address, p + ((CERTAIN - p) >> RATE));
  }
  widen();
  return <u32>one;
}

/** A number of `count` bits that are as often 0 as 1. */
function evenBits(count: u32): u32 {
  let value: u32 = 0;
  for (; count; count--) {
    range >>= 1;
    const one = code >= range;
    if (one) code -= range;
    widen();
    value = (value << 1) | <u32>one;
  }
  return value;
}

/** A number of `count` bits, the highest first. Each has a probability for every value of those before it. */
function tree(first: u32, count: u32): u32 {
  let node: u32 = 1;
  for (let i: u32 = 0; i < count; i++) node = (node << 1) | bit(first + node);
  return node - (1 << count);
}

/** The same, the lowest first. */
function reversedTree(first: u32, count: u32): u32 {
  let node: u32 = 1;
  let value: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const b = bit(first + node);
    node = (node << 1) | b;
    value |= b << i;
  }
  return value;
}

/** The length of a copy, less 2. */
function copyLength(first: u32, place: u32): u32 {
  if (!bit(first)) return tree(first + 2 + (place << 3), 3);
  if (!bit(first + 1)) return 8 + tree(first + 34 + (place << 3), 3);
  return 16 + tree(first + 66, 8);
}

/** The distance of a copy, less 1. */
function copyDistance(length: u32): u32 {
  const slot = tree(DISTANCE + (min<u32>(length, 3) << 6), 6);
  if (slot < 4) return slot;
  const rest = (slot >> 1) - 1;
  const high = (2 | (slot & 1)) << rest;
  if (slot < 14) return high + reversedTree(DISTANCE_REST + high - slot, rest);
  return high + (evenBits(rest - 4) << 4) + reversedTree(DISTANCE_LOW, 4);
}

/**
 * A byte.
 * @param copied the byte that a copy would have put here, if the last step was a copy; else 256
 */
function byte(before: u32, copied: u32): u32 {
  const first = BYTE + (before >> 5) * BYTE_SIZE;
  let node: u32 = 1;
  // The questions depend on the copied byte as long as the bits are the same.
  for (let same = copied < 256; node < 256; copied <<= 1) {
    const expected = (copied >> 7) & 1;
    const b = bit(first + node + (same ? (1 + expected) << 8 : 0));
    if (b != expected) same = false;
    node = (node << 1) | b;
  }
  return node;
}

/** The last few steps as a number: below 4 a byte after a byte, below 7 another byte, from there on a copy. */
let state: u32 = 0;
/** The last four distances, the newest first. */
let d0: usize = 1;
let d1: usize = 1;
let d2: usize = 1;
let d3: usize = 1;

/** A copy of a new distance, which it writes down. @returns the length */
function newCopy(place: u32): u32 {
  d3 = d2;
  d2 = d1;
  d1 = d0;
  state = state < 7 ? 7 : 10;
  const length = copyLength(LENGTH, place);
  d0 = 1 + copyDistance(length);
  return 2 + length;
}

/** A copy of one of the last four distances, which it puts in front. @returns the length */
function copyAgain(place: u32): u32 {
  if (bit(NOT_FIRST + state)) {
    let d = d1;
    if (bit(NOT_FIRST + 12 + state)) {
      d = d2;
      if (bit(NOT_FIRST + 24 + state)) {
        d = d3;
        d3 = d2;
      }
      d2 = d1;
    }
    d1 = d0;
    d0 = d;
  } else if (!bit(LONG + (state << 2) + place)) {
    state = state < 7 ? 9 : 11;
    return 1;
  }
  state = state < 7 ? 8 : 11;
  return 2 + copyLength(LENGTH_AGAIN, place);
}

/** Unpacks the file of `size` bytes at INPUT to where it ends. Its properties are lc=3, lp=0, pb=2, the format's own. */
function unpackFile(begin: usize, end: usize): void {
  for (let i: u32 = 0; i < PROBABILITIES; i++) store<u16>(i << 1, <u16>(CERTAIN / 2));
  // One byte of properties, four of the dictionary's size, eight of the content's length, and one that is 0.
  code = bswap(load<u32>(INPUT + 14));
  input = INPUT + 18;
  for (let at = begin; at < end; ) {
    const place = <u32>(at - begin) & 3;
    if (bit(COPY + (state << 2) + place)) {
      for (let length = bit(AGAIN + state) ? copyAgain(place) : newCopy(place); length; length--, at++) {
        store<u8>(at, load<u8>(at - d0));
      }
    } else {
      const before = at > begin ? load<u8>(at - 1) : 0;
      store<u8>(at, <u8>byte(before, state < 7 ? 256 : load<u8>(at - d0)));
      at++;
      state = state < 4 ? 0 : state - (state < 10 ? 3 : 6);
    }
  }
}

/**
 * Writes the code to `to`: after each instruction from local.get to global.set the number of its variable.
 * @param from the length of the code without these numbers, the code, and the numbers
 */
function withVariables(from: usize, to: usize): void {
  let at = from + 4;
  let variable = at + load<u32>(from);
  for (const end = variable; at < end; ) {
    const instruction: u32 = load<u8>(at++);
    store<u8>(to++, <u8>instruction);
    if (instruction - 0x20 < 5) store<u8>(to++, load<u8>(variable++));
  }
}

/** Unpacks the `size` bytes at INPUT. @returns where the kernels begin; their length is 4 less than the word at INPUT + 5 */
export function unpack(size: u32): usize {
  const begin = INPUT + size, end = begin + load<u32>(INPUT + 5);
  unpackFile(begin, end);
  withVariables(begin, end);
  return end;
}
