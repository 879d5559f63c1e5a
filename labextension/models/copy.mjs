/** Puts the models that `models.json` lists, and the list, into a folder: a build of the extension, or of the page. */

import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const LIST = 'models.json';

/** Whether an address names a file beside a list; what lies elsewhere is nobody's to copy. */
function isBeside(url) {
  return !/^([a-z]+:|\/)/i.test(url);
}

export function copyModels(target, source = HERE) {
  const list = JSON.parse(readFileSync(path.join(source, LIST), 'utf8'));
  mkdirSync(target, { recursive: true });
  for (const { name, url, sha256, size } of list.models.filter(({ url }) => isBeside(url))) {
    const file = decodeURIComponent(url);
    const bytes = readFileSync(path.join(source, file));
    if (bytes.length !== size || createHash('sha256').update(bytes).digest('hex') !== sha256) {
      throw new Error(
        `${file} is not the file that ${LIST} lists for ${name}: its size or its digest differs.`
      );
    }
    copyFileSync(path.join(source, file), path.join(target, file));
  }
  copyFileSync(path.join(source, LIST), path.join(target, LIST));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  copyModels(process.argv[2]);
}
