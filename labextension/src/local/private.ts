/** Lines that look like secrets, which a model never gets as context; the server knows more forms. Pure. */

import { LINE } from './bounds';
import { isLonger, linesOf, SPACE, WORD } from './text';

/** Blocks of private keys, JSON web tokens, and keys that services issue in a form that nothing else has. */
const KEY = new RegExp(
  `-----BEGIN [A-Z ]*PRIVATE KEY|(?<![${WORD}-])eyJ[\\w-]{10,}\\.[\\w-]{10,}\\.|(?<![${WORD}])` +
    '(?:gh[pousr]_[A-Za-z0-9]{20}|github_pat_\\w{20}|glpat-[\\w-]{20}|sk-[\\w-]{20}|hf_[A-Za-z0-9]{20}' +
    '|A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])|AIza[\\w-]{30}|xox[abprs]-[A-Za-z0-9-]{10}' +
    '|[rs]k_(?:live|test)_(?=[A-Za-z]*[0-9])[A-Za-z0-9]{10}|npm_[A-Za-z0-9]{36}|pypi-AgE[\\w-]{50}' +
    '|SG\\.[\\w-]{20,24}\\.[\\w-]{39}|(?:SK|AC|dapi)[0-9a-f]{32}|ya29\\.[\\w-]{20}|GOCSPX-[\\w-]{20}' +
    '|[0-9]{8,10}:AA[\\w-]{33}|[MNO][\\w-]{23,25}\\.[\\w-]{6}\\.[\\w-]{27}|do[opr]_v1_[0-9a-f]{64}' +
    '|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|[0-9a-f]{32}-us[0-9]{1,2}(?![0-9])|gsk_[A-Za-z0-9]{40}' +
    '|nvapi-[\\w-]{40}|glsa_[A-Za-z0-9]{32}|dckr_pat_[\\w-]{20}|hvs\\.[\\w-]{20}|whsec_[A-Za-z0-9]{24})',
  'u'
);
/** A text in quotes that is assigned to a name such as `db_password`: a variable, a key, an argument. */
const ASSIGNED = new RegExp(
  '(?:pass(?:word|wd|phrase)|pwd|secret|token(?!i[sz])|(?:api|access|private)[_-]?key|credential)' +
    `[${WORD}]{0,32}["']?[\\]}]{0,2}(?:\\[\\])?[${SPACE}]{0,8}` +
    `(?:<?<-|=>?|:=?|:[^=:"'\\n]{1,40}=)[${SPACE}]{0,8}[bfru]{0,2}(?:"{3}|'{3}|["'])[^"'\\n]{4}`,
  'iu'
);

/** Whether a line seems to contain a secret; a line too long to check counts as one that does. */
export function looksSecret(line: string): boolean {
  return isLonger(line, LINE) || KEY.test(line) || ASSIGNED.test(line);
}

/** A text without its lines that look like secrets. */
export function withoutSecrets(source: string): string {
  return linesOf(source)
    .filter(line => !looksSecret(line))
    .join('');
}
