/** @file Names for numbers that are not finite: which parameter holds one, or which kernel made the first. */
import { leaves } from '@blt-ts/autograd';
import { AnomalyError, withAnomalyDetection } from '@blt-ts/tensor';

/** The anomaly with the names of the parameters that its kernel read. */
export function anomalyText({ message, inputs }: AnomalyError, params: object): string {
  const names = leaves(params).flatMap(([name, p]) => (inputs.some((x) => x.storage === p.storage) ? [name] : []));
  return names.length > 0 ? `${message}, reading ${names.join(' and ')}` : message;
}

/**
 * The cause of a loss or gradient that is not finite, for an error message: a broken parameter, or the first kernel of `again`, which runs
 * the step's computation once more. Empty if neither is found, or on a backend whose values must be waited for.
 */
export function causeOfAnomaly(params: object, again: () => void): string {
  for (const [name, p] of leaves(params)) {
    if (!p.backend.synchronous) return '';
    const at = p.readSync().findIndex((v) => !Number.isFinite(v));
    if (at !== -1) return `, because parameter ${name} holds ${p.readSync()[at]} at ${at}`;
  }
  try {
    withAnomalyDetection(again);
    return '';
  } catch (error) {
    if (error instanceof AnomalyError) return `; first, ${anomalyText(error, params)}`;
    throw error;
  }
}
