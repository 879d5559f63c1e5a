/** Whether a text fits in at the cursor, by a grammar of the page where there is one. Pure. */
import { STATEMENT } from './bounds';
import { scan } from './lexer';
import { isLonger } from './text';

const PATIENCE = 2_000_000; // characters that are parsed for one answer; after that, nothing more fits

/** How many faults a text has that no further text could mend, and how many characters were parsed for that. */
export type Judge = (language: string, text: string) => { faults: number; parsed: number };

/** Judge by brackets and quotes alone. */
export const byBrackets: Judge = (_, text) => ({ faults: Number(!scan(text).balanced), parsed: 0 });

/** A check whether a text fits behind `prefix`: it must not add faults to the cell. */
export function fitting(language: string, prefix: string, judge: Judge): (text: string) => boolean {
  let left = PATIENCE;
  const known = new Map<string, number>();
  const faultsOf = (text: string): number => {
    let faults = known.get(text);
    if (faults === undefined) {
      const judged = left > 0 ? judge(language, text) : { faults: STATEMENT, parsed: 0 };
      left -= judged.parsed;
      faults = judged.faults;
      known.set(text, faults);
    }
    return faults;
  };
  return text => {
    const faults = isLonger(prefix, STATEMENT) ? 0 : faultsOf(prefix + text);
    return faults === 0 || faults <= faultsOf(prefix);
  };
}
