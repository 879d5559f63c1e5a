/** Which language a cell or a file is in, and which files are nobody's business. Pure. */

const CELL_MAGIC = /^\s*%%(\w+)/;

const SAME_LANGUAGE = new Set([
  'time',
  'timeit',
  'capture',
  'prun',
  'memit',
  'mprun',
  'python',
  'python3',
  'px',
  'debug'
]);

const MAGIC_LANGUAGES: Record<string, string> = {
  sh: 'bash',
  script: 'bash',
  HTML: 'html',
  svg: 'html',
  SVG: 'html',
  js: 'javascript',
  bigquery: 'sql',
  R: 'r',
  writefile: 'text',
  file: 'text'
};

const MIME_LANGUAGES: Record<string, string> = {
  'text/plain': 'text',
  'text/x-ipython': 'python',
  'text/x-ipythongfm': 'markdown',
  'text/x-rsrc': 'r',
  'text/x-c++src': 'cpp',
  'text/x-csrc': 'c',
  'text/x-sh': 'bash',
  'application/json': 'json'
};

/** The language of a MIME type. */
export function languageOf(mimeType: string): string {
  const [mime] = mimeType.split(';', 1);
  return MIME_LANGUAGES[mime] ?? mime.replace(/^(text|application)\/(x-)?/, '');
}

/** The language of a cell: a `%%magic` on its first line may give it one of its own. */
export function cellLanguage(source: string, language: string): string {
  const magic = CELL_MAGIC.exec(source)?.[1];
  if (magic === undefined || SAME_LANGUAGE.has(magic)) {
    return language;
  }
  return MAGIC_LANGUAGES[magic] ?? magic;
}

const PRIVATE_FILE = new RegExp(
  '^(\\.env(\\..*)?|.*\\.env|\\.netrc|_netrc|\\.pgpass|\\.npmrc|\\.pypirc|\\.git-credentials' +
    '|\\.htpasswd|id_(rsa|dsa|ecdsa|ed25519)(\\.pub)?' +
    '|.*\\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|asc|gpg)' +
    '|credentials(\\.\\w+)?|secrets?(\\.\\w+)?|.*_?service_account.*\\.json|.*\\.tfvars' +
    '|known_hosts|authorized_keys)$',
  'i'
);
const PRIVATE_FOLDERS = new Set(['.ssh', '.aws', '.gnupg', '.azure', '.kube', '.docker']);

/** Whether a file by that name holds credentials. */
export function isPrivatePath(path: string): boolean {
  const parts = path.split(/[\\/]/);
  const name = parts.pop() ?? '';
  return PRIVATE_FILE.test(name) || parts.some(part => PRIVATE_FOLDERS.has(part));
}
