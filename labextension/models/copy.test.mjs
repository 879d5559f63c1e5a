import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { copyModels } from './copy.mjs';

let source;
let target;

beforeEach(() => {
  source = mkdtempSync(path.join(tmpdir(), 'turbopilot-models-'));
  target = path.join(source, 'built');
});

afterEach(() => rmSync(source, { recursive: true }));

/** Put a file there, and return its entry. */
function model(file, url = file) {
  const bytes = Buffer.from(`weights of ${file}`);
  writeFileSync(path.join(source, file), bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { name: file, url, sha256, size: bytes.length };
}

function list(...models) {
  writeFileSync(path.join(source, 'models.json'), JSON.stringify({ models }));
}

it('copies the list and the files beside it that it names, and no others', () => {
  model('other.gguf');
  list(model('a.gguf'), model('my model.gguf', 'my%20model.gguf'));
  copyModels(target, source);
  expect(readdirSync(target).sort()).toEqual(['a.gguf', 'models.json', 'my model.gguf']);
});

it('leaves what lies elsewhere where it is', () => {
  const urls = ['https://example.org/a.gguf', '//example.org/a.gguf', '/models/a.gguf'];
  list(...urls.map(url => ({ ...model('a.gguf'), url })));
  copyModels(target, source);
  expect(readdirSync(target)).toEqual(['models.json']);
});

it('refuses a file that is not the one that is listed', () => {
  for (const wrong of [{ size: 3 }, { sha256: '0'.repeat(64) }]) {
    list({ ...model('a.gguf'), ...wrong });
    expect(() => copyModels(target, source)).toThrow('a.gguf is not the file that models.json lists');
    expect(existsSync(path.join(target, 'models.json'))).toBe(false);
  }
});
