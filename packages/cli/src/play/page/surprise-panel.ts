/** @file Chapter 6: the bits that each byte costs the model, beside its patches. */
import type { Reading } from '../messages.ts';
import { patchBands } from './bands-picture.ts';
import { byId } from './dom.ts';
import { heatPicture } from './heat-picture.ts';
import type { Lessons } from './lessons.ts';
import { Strip } from './strip.ts';
import { summary } from './surprise-summary.ts';

export class SurprisePanel {
  private readonly strip = new Strip(byId('heat'), byId('heat-facts'));

  constructor(lessons: Lessons) {
    lessons.onReading((reading) => this.show(reading));
  }

  private show(reading: Reading): void {
    const { bytes, surprise } = reading;
    this.strip.show(heatPicture(bytes, [{ name: '', bits: surprise }], (from, to) => patchBands(reading, from, to)));
    byId('heat-summary').textContent = summary(reading);
  }
}
