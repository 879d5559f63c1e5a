/** Lines that look like secrets, which a model never gets as context. Pure. */

import { LINE } from './bounds';
import { codePoints, isLonger, linesOf, SPACE, WORD } from './text';

const SHORTEST = 9; // characters: `://a:bcd@`
/** A name that suggests a secret, to its end. `\w` has no `-`: names with one have a pattern of their own. */
const NAMED = [
  new RegExp(
    '(?:pass|pwd|secret|token(?!i[sz])|api_?key|access_?key|private_?key|credential|auth(?!or))' +
      `[${WORD}]*`,
    'giu'
  ),
  new RegExp(`(?<!sa)creds?(?![a-z])[${WORD}]*`, 'giu'),
  new RegExp(`(?:api|access|private)-key[${WORD}]*`, 'giu')
];
const AFTER_NAME = new RegExp(`(?<=[${WORD}])["']?\\]?[${SPACE}]*(?=[=:(])`, 'uy');
const VALUE = new RegExp(`[=:(](?=[${SPACE}]*[rbf]?["'][^"'\\n]{4})`, 'giu');
const KEY = new RegExp(
  '-----BEGIN [A-Z ]*PRIVATE KEY' +
    `|(?<![${WORD}])(?:gh[pousr]_[A-Za-z0-9]{20}|github_pat_[${WORD}]{20}|sk-[A-Za-z0-9_-]{20}` +
    '|hf_[A-Za-z0-9]{20}|xox[abprs]-[A-Za-z0-9-]{10}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30}' +
    `|[rs]k_(?:live|test)_(?=[a-z]*[0-9])[a-z0-9]{10}|hooks\\.slack\\.com/[${WORD}]+/[${WORD}])` +
    `|(?<![${WORD}])authorization["']?:[${SPACE}]*["']?[${WORD}]+[${SPACE}][A-Za-z0-9._~+/=-]{8}` +
    `|://[^/${SPACE}:@]+:[^/${SPACE}:@]{3,}@`,
  'iu'
);
/** A text given to `login`, and one behind another value where a name and a password stand together. */
const LOGIN = new RegExp(
  `(?:(?<!def )(?<![@${WORD}])login\\((?:[^\\n]{0,64}?,)?|(?:auth|creds?|credentials?)(?:[${SPACE}]*=[${SPACE}]*[(\\[]|\\()[^\\n]{0,64}?,)` +
    `[${SPACE}]*(?:[${WORD}]{1,32}[${SPACE}]*=[${SPACE}]*)?[rbf]?["'][^"'\\n]{4}`,
  'iu'
);
const LONG_VALUE = /["']([A-Za-z0-9+/_=-]{32,64})/g;
const HEXADECIMAL = /^[0-9A-Fa-f-]{32}/;
const TURN = /[a-z](?=[A-Z0-9])|[0-9](?=[A-Za-z])|[A-Z](?=[0-9])/g;
const MOST_A_TURN = 4; // characters of a random value for each turn; words have more
const WEB_TOKEN = new RegExp(`(?<![${WORD}])eyJ[${WORD}-]{10,}`, 'giu');
const WEB_TOKEN_REST = new RegExp(`\\.[${WORD}-]{10,}\\.`, 'uy');

/** Whether a line seems to contain a secret; a line too long to check counts as one that does. */
export function looksSecret(text: string): boolean {
  if (codePoints(text) < SHORTEST || isLonger(text, LINE)) {
    return isLonger(text, LINE);
  }
  // Python takes these for an `i` where case does not count.
  const line = text.replace(/[\u0130\u0131]/g, 'i');
  return (
    KEY.test(line) ||
    LOGIN.test(line) ||
    Array.from(text.matchAll(LONG_VALUE), ([, value]) => value).some(isRandom) ||
    endsOf(WEB_TOKEN, line).some(end => matchAt(WEB_TOKEN_REST, line, end) >= 0) ||
    NAMED.some(pattern => isAssigned(line, endsOf(pattern, line)))
  );
}

/** Whether a long value is hexadecimal, or letters and digits in no order. */
function isRandom(value: string): boolean {
  if (!/[0-9]/.test(value) || !/[A-Za-z]/.test(value)) {
    return false;
  }
  return HEXADECIMAL.test(value) || (value.match(TURN)?.length ?? 0) * MOST_A_TURN > value.length;
}

/** Whether a quoted text is assigned to one of the names that end at these positions. */
function isAssigned(line: string, ends: readonly number[]): boolean {
  const values = ends.length > 0 ? Array.from(line.matchAll(VALUE), value => value.index) : [];
  let at = 0;
  let stop = -1;
  for (const end of ends) {
    const sign = matchAt(AFTER_NAME, line, end);
    if (sign < 0) {
      continue;
    }
    while (at < values.length && values[at] < sign) {
      at++;
    }
    if (at === values.length || values[at] === sign) {
      return at < values.length;
    }
    // An annotation may stand between the name and the equals sign.
    if (line[sign] === ':') {
      stop = stop < sign ? endOfAnnotation(line, sign) : stop;
      if (values[at] <= stop) {
        return true;
      }
    }
  }
  return false;
}

function endOfAnnotation(line: string, start: number): number {
  const at = line.slice(start).search(/[=\n]/);
  return at < 0 ? line.length : start + at;
}

function endsOf(pattern: RegExp, line: string): number[] {
  return Array.from(line.matchAll(pattern), found => found.index + found[0].length);
}

/** Where a pattern with the flag `y` ends that begins at a place; -1 where it does not match. */
function matchAt(pattern: RegExp, line: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(line) ? pattern.lastIndex : -1;
}

/** A text without its lines that look like secrets. */
export function withoutSecrets(source: string): string {
  return linesOf(source)
    .filter(line => !looksSecret(line))
    .join('');
}
