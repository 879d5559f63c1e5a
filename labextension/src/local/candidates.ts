/** Alternatives to an answer: branches at the tokens the model was least sure of. Pure. */

import { stripStart } from './text';
import type { IPiece } from './writing';

const SURE = 0.9; // a token at least as likely as this has no alternative worth reading
const BLANK = ' \t\n\r\v\f';

/** The tokens kept of the first answer, and the token that must not follow them. */
export interface IBranch {
  kept: IPiece[];
  banned: number;
}

/** The branches at the least certain tokens of an answer's first line. */
export function branches(pieces: readonly IPiece[], count: number): IBranch[] {
  const holds = pieces.map(({ text }) => stripStart(text, BLANK) !== '');
  const begun = holds.indexOf(true);
  const end = pieces.findIndex(({ text }, at) => at > begun && begun >= 0 && text.includes('\n'));
  const line = end < 0 ? pieces : pieces.slice(0, end);
  return [...line.keys()]
    .filter(at => line[at].probability < SURE && holds[at])
    .sort((one, other) => line[one].probability - line[other].probability)
    .slice(0, count)
    .map(at => ({ kept: line.slice(0, at), banned: line[at].token }));
}
