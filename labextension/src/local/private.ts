/** Lines that look like secrets, which a model never gets as context. Pure. */

import { LINE } from './bounds';
import { codePoints, isLonger, last, linesOf, SPACE, strip, WORD } from './text';

type Span = readonly [start: number, end: number];

const SHORTEST = 9; // characters: `://a:bcd@`
/** A name that suggests a secret, to its end. `\w` has no `-`: names with one have a pattern of their own. */
const NAMED = [
  new RegExp(
    '(?:pass|pwd|secret|token(?!i[sz])|api_?key|access_?key|private_?key|credential|auth(?!or)' +
      `|identified[${SPACE}]+by(?![${WORD}]))[${WORD}]*`,
    'giu'
  ),
  new RegExp(`(?<!sa)creds?(?![a-z])[${WORD}]*`, 'giu'),
  new RegExp(`(?:api|access|private)-key[${WORD}]*`, 'giu')
];
/** A text in quotes, with the prefixes that languages put before it: `br"`, `u8"`, `r#"`, `$'`. */
const TEXT = `(?:[bflrtu]{1,2}#?|u8|[@$])?\\\\?(?:"{3}|'{3}|["'])[^"'\\n]{4}`;
/** What may stand between a name and the sign: a quote, as in JSON, brackets, the `?` of TypeScript. */
const AFTER_NAME = new RegExp(
  `(?<=[${WORD}])\\\\?["']?[\\]}]{0,2}(?:\\[\\])?\\??[${SPACE}]*(?=<?<-|[=(]|:(?!:))`,
  'uy'
);
const VALUE = new RegExp(`(?:<?<-|=>?|[:(])(?=[${SPACE}]*${TEXT})`, 'giu');
const BESIDE = new RegExp(`(?<=[${WORD}])[${SPACE}]+[bnx]?["']([^"'\\n]{4,256})["']`, 'iuy');
/** A value without quotes, or one in quotes behind a name in quotes, and what stands between name and value. */
const BARE = new RegExp(
  `(?<=[${WORD}])(=|["']?:[${SPACE}]*|\\\\?["'][${SPACE}]*,[${SPACE}]*\\\\?["']|[${SPACE}]+)` +
    `([^${SPACE}"'\`;&|\\\\,(){}\\[\\]<>=$]{6,256})={0,2}(?=[${SPACE}"'\`;&|\\\\]|$)`,
  'uy'
);
const REACH = 40; // characters before a name that are looked at
const OPTION = new RegExp(`(?<![${WORD}-])--?[A-Za-z0-9_-]*$`, 'u');
const VARIABLE = /\$\{?[A-Za-z0-9_]*$/u;
const SHELL = new RegExp(`^[ \\t!%]*(?:export|set|SET|setenv|env|ENV|set_env)[${SPACE}]`, 'u');
const CURL = new RegExp(`(?<![${WORD}])curl(?![${WORD}])`, 'u');
const CURL_USER = new RegExp(
  `(?<![${WORD}-])(?:-[uU]|--user|--proxy-user)(?:["'],)?[${SPACE}=]{0,8}["']?[^${SPACE}=:"'$<>{}()]{1,64}:` +
    `(?!//)([^${SPACE}"'$<>{}]{4,256})`,
  'u'
);
// R assigns to the right as well. A name with small letters behind a capital is a type: `"+" -> TokenPlus`.
const TO_THE_RIGHT = new RegExp(
  `(?:^|[;{])[${SPACE}(]*["'][^"'\\n]{4,256}["'][${SPACE})]*->>?[${SPACE}]*` +
    `\`?([a-z][${WORD}.$@"'\\[\\]]{0,63}|[A-Z][A-Z0-9_.]{0,63})\`?[${SPACE}]*(?:[;}#]|$)`,
  'gu'
);
// MySQL's clients and sshpass take a password after `-p`, in a command or in a list of arguments.
const CLIENT = new RegExp(
  `(?:(?:^|[|;&(!"'\`%]|(?<![${WORD}])exec[${SPACE}][^\\n|;&]{0,64}?[${SPACE}])[${SPACE}]*(?:sudo[${SPACE}]+)?` +
    `(?:/[${WORD}/]{1,64}/)?(?:mysql|mariadb)[a-z_-]{0,16}(?:\\.exe)?["']?[${SPACE},][^\\n|;&]{0,256}?` +
    `(?<=[${SPACE}"'])-p(?=[^${SPACE}])(?!["'],)` +
    `|(?<![${WORD}])sshpass["']?[${SPACE},][^\\n|;&]{0,64}?(?<=[${SPACE}"'])-p["']?[${SPACE},]*)` +
    `(?:'[^'\\n]{4,256}'|["']?(?=[^${SPACE}"'A-Za-z]{0,64}[A-Za-z]|[0-9]{6})[^${SPACE}"'$<>{}|&;:]{4,256})`,
  'u'
);
/** A key and its value, as in YAML. */
const PAIR = new RegExp(
  `^[ \\t]*(?:#[ \\t]*)?(?:-[ \\t]+)?["']?[${WORD}.-]{0,64}?(?:pass(?:word|wd|phrase)?|pwd|secret|token` +
    `|(?:api|access|private|secret)[_-]?key)["']?[ \\t]*:[ \\t]+` +
    `([^${SPACE}"'\`,;|\\\\()\\[\\]{}<>=]{8,256}={0,2})[${SPACE}]*(?:#[^]*)?$`,
  'diu'
);
/** Values that are types or attributes: `Int64Array`, `OAuth2Token`, `types.String50`. */
const TYPE = new RegExp(
  '^(?:[A-Za-z_]*(?:8|16|32|64|128|256|512)[A-Za-z_]*|[A-Z][A-Za-z]*[0-9][A-Z][A-Za-z]*' +
    '|[A-Za-z_][A-Za-z0-9_]*(?:\\.[A-Za-z_][A-Za-z0-9_]*)+)$'
);
const KEY = new RegExp(
  '-----BEGIN [A-Z ]*PRIVATE KEY' +
    `|(?<![${WORD}])(?:gh[pousr]_[A-Za-z0-9]{20}|github_pat_[${WORD}]{20}|sk-[A-Za-z0-9_-]{20}` +
    '|hf_[A-Za-z0-9]{20}|xox[abprs]-[A-Za-z0-9-]{10}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{30}' +
    `|[rs]k_(?:live|test)_(?=[a-z]*[0-9])[a-z0-9]{10}|hooks\\.slack\\.com/[${WORD}]+/[${WORD}])` +
    `|(?<![${WORD}])authorization["']?:[${SPACE}]*["']?[${WORD}]+[${SPACE}][A-Za-z0-9._~+/=-]{8}` +
    `|://[^/${SPACE}:@]+:[^/${SPACE}:@]{3,}@`,
  'iu'
);
/** Keys of services in a form that nothing else has. */
const TOKEN = new RegExp(
  '(?<![A-Za-z0-9])(?:glpat-[\\w-]{20}|A(?:SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])|npm_[A-Za-z0-9]{36}' +
    '|pypi-AgE[\\w-]{50}|SG\\.[\\w-]{20,24}\\.[\\w-]{39}|(?:SK|AC|dapi)[0-9a-f]{32}|ya29\\.[\\w-]{20}' +
    '|GOCSPX-[\\w-]{20}|[0-9]{8,10}:AA[\\w-]{33}|[MNO][\\w-]{23,25}\\.[\\w-]{6}\\.[\\w-]{27}|do[opr]_v1_[0-9a-f]{64}' +
    '|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|[0-9a-f]{32}-us[0-9]{1,2}(?![0-9])|gsk_[A-Za-z0-9]{40}|nvapi-[\\w-]{40}' +
    '|glsa_[A-Za-z0-9]{32}|dckr_pat_[\\w-]{20}|hvs\\.[\\w-]{20}|whsec_[A-Za-z0-9]{24})',
  'u'
);
/** A text given to `login`, and one behind another value where a name and a password stand together. */
const LOGIN = new RegExp(
  `(?:(?<!def )(?<![@${WORD}])login\\((?:[^\\n]{0,64}?,)?|(?:auth|creds?|credentials?)(?:[${SPACE}]*=[${SPACE}]*[(\\[]|\\()[^\\n]{0,64}?,)` +
    `[${SPACE}]*(?:[${WORD}]{1,32}[${SPACE}]*=[${SPACE}]*)?${TEXT}`,
  'iu'
);
const LONG_VALUE = /["']([A-Za-z0-9+/_=-]{32,64})/g;
const HEXADECIMAL = /^[0-9A-Fa-f-]{32}/;
const TURN = /[a-z](?=[A-Z0-9])|[0-9](?=[A-Za-z])|[A-Z](?=[0-9])/g;
const SHORT = 7; // characters of a word with a digit that may be a name: `sha256`, `urllib2`
const MOST_A_TURN = 4; // characters of a random value for each turn; words have more
const WEB_TOKEN = new RegExp(`(?<![${WORD}])eyJ[${WORD}-]{10,}`, 'giu');
const WEB_TOKEN_REST = new RegExp(`\\.[${WORD}-]{10,}\\.`, 'uy');

/** Whether a line seems to contain a secret; a line too long to check counts as one that does. */
export function looksSecret(text: string): boolean {
  if (codePoints(text) < SHORTEST || isLonger(text, LINE)) {
    return isLonger(text, LINE);
  }
  const line = withPlainI(text);
  const user = CURL_USER.exec(text)?.[1];
  return (
    KEY.test(line) ||
    TOKEN.test(text) ||
    LOGIN.test(line) ||
    Array.from(text.matchAll(LONG_VALUE), ([, value]) => value).some(isRandom) ||
    spansOf(WEB_TOKEN, line).some(([, end]) => matchAt(WEB_TOKEN_REST, line, end)) ||
    (user !== undefined && (CURL.test(text) || isChosen(user))) ||
    // Every line of a notebook comes here, and few have what these patterns need.
    (text.includes('-p') && CLIENT.test(text)) ||
    (text.includes('->') && Array.from(text.matchAll(TO_THE_RIGHT), ([, target]) => target).some(isNamed)) ||
    NAMED.some(pattern => reveals(text, spansOf(pattern, line)))
  );
}

function isNamed(text: string): boolean {
  return NAMED.some(pattern => withPlainI(text).search(pattern) >= 0);
}

/** Whether a line is a key and its value, as in YAML, and the value looks like a password. */
function isPair(text: string): boolean {
  const place = PAIR.exec(withPlainI(text))?.indices?.[1];
  const value = place ? text.slice(...place) : '';
  if (!isChosen(value) || TYPE.test(value)) {
    return false;
  }
  return !value.includes('/') || isRandom(value); // else a path
}

/** Whether a long value is hexadecimal, or letters and digits in no order. */
function isRandom(value: string): boolean {
  if (!/[0-9]/.test(value) || !/[A-Za-z]/.test(value)) {
    return false;
  }
  return HEXADECIMAL.test(value) || (value.match(TURN)?.length ?? 0) * MOST_A_TURN > codePoints(value);
}

/** Whether a value looks like what somebody chose for a password, rather than like a name. */
function isChosen(value: string): boolean {
  return codePoints(value) > SHORT && /[0-9]/.test(value) && /[A-Za-z]/.test(value);
}

/** Whether one of the names at these places stands with its value. */
function reveals(line: string, names: readonly Span[]): boolean {
  return (
    names.length > 0 &&
    (isAssigned(line, names) ||
      isPair(line) ||
      names.some(name => isBeside(line, name) || isBare(line, name)))
  );
}

function before(line: string, [start]: Span): string {
  return last(line.slice(Math.max(0, start - 2 * REACH), start), REACH);
}

function isSmall(line: string, [start, end]: Span): boolean {
  return /[a-z]/.test(line.slice(start, end));
}

/** Whether a quoted text follows a name, as in SQL and behind `#define`. */
function isBeside(line: string, name: Span): boolean {
  const value = matchAt(BESIDE, line, name[1])?.[1];
  if (value === undefined || value.includes('://') || VARIABLE.test(before(line, name))) {
    return false;
  }
  // In small letters it may be prose: "no such token 'x'".
  return !isSmall(line, name) || (isChosen(value) && !value.includes(' '));
}

/** Whether a value follows a name as it does in a shell, an address, a header or a pair. */
function isBare(line: string, name: Span): boolean {
  const [, sign, value] = matchAt(BARE, line, name[1]) ?? ['', '', ''];
  if (!/[A-Za-z]/.test(value)) {
    return false;
  }
  const inShell = OPTION.test(before(line, name)) || SHELL.test(line);
  if (VARIABLE.test(before(line, name)) || (!strip(sign) && !inShell)) {
    return false;
  }
  if (value.includes('.') || value.includes('://') || /^[/~]/.test(value) || sign.includes(':')) {
    // A path, an attribute, a type: most are made of words.
    return codePoints(value) > SHORT && isRandom(value);
  }
  if (inShell && sign === '=') {
    return codePoints(value) > SHORT || /[0-9]/.test(value);
  }
  const isName = value.includes('_') || NAMED.some(pattern => withPlainI(value).search(pattern) === 0);
  return isChosen(value) && !(isName && isSmall(line, name));
}

/** Whether a quoted text is assigned to one of the names at these places. */
function isAssigned(line: string, names: readonly Span[]): boolean {
  const values = names.length > 0 ? Array.from(line.matchAll(VALUE), value => value.index) : [];
  let at = 0;
  let stop = -1;
  for (const [, end] of names) {
    const after = matchAt(AFTER_NAME, line, end);
    if (!after) {
      continue;
    }
    const sign = after.index + after[0].length;
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

/** A text with a plain letter for those that Python takes for an `i` where case does not count. */
function withPlainI(text: string): string {
  return text.replace(/[\u0130\u0131]/g, 'i');
}

function spansOf(pattern: RegExp, line: string): Span[] {
  return Array.from(line.matchAll(pattern), found => [found.index, found.index + found[0].length]);
}

/** What a pattern with the flag `y` matches at a place. */
function matchAt(pattern: RegExp, line: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(line);
}

/** A text without its lines that look like secrets. */
export function withoutSecrets(source: string): string {
  return linesOf(source)
    .filter(line => !looksSecret(line))
    .join('');
}
