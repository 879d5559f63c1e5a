import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type IFiles, PrivateFiles } from './files';

const ROOM = 8;

/** A folder of the browser with room for so many bytes; a file is written in one place at a time. */
class Folder {
  readonly contents = new Map<string, Uint8Array>();
  readonly writing = new Set<string>();

  getDirectoryHandle = () => Promise.resolve(this);

  getFileHandle(name: string, { create = false } = {}) {
    if (create && !this.contents.has(name)) {
      this.contents.set(name, new Uint8Array());
    }
    const content = this.contents.get(name);
    return content
      ? Promise.resolve({
          getFile: () => Promise.resolve(new File([new Uint8Array(content)], name)),
          createSyncAccessHandle: () => this.access(name)
        })
      : Promise.reject(new DOMException('', 'NotFoundError'));
  }

  keys = () => this.contents.keys();

  removeEntry(name: string): Promise<void> {
    this.contents.delete(name);
    return Promise.resolve();
  }

  private access(name: string) {
    if (this.writing.has(name)) {
      return Promise.reject(new DOMException('', 'NoModificationAllowedError'));
    }
    this.writing.add(name);
    return Promise.resolve({
      truncate: () => this.contents.set(name, new Uint8Array()),
      write: (bytes: ArrayBuffer) => {
        this.contents.set(name, new Uint8Array(bytes.slice(0, ROOM)));
        if (bytes.byteLength > 2 * ROOM) {
          throw new DOMException('', 'QuotaExceededError');
        }
        return Math.min(ROOM, bytes.byteLength);
      },
      flush: () => undefined,
      close: () => this.writing.delete(name)
    });
  }
}

describe("a file in the browser's own folder", () => {
  let folder: Folder;
  let files: IFiles | null;

  beforeEach(async () => {
    folder = new Folder();
    vi.stubGlobal('navigator', { storage: { getDirectory: () => Promise.resolve(folder) } });
    files = await PrivateFiles.open();
  });

  afterEach(() => vi.unstubAllGlobals());

  it('is kept', async () => {
    expect(await files?.write('a', new Blob(['text']))).toBe('kept');
    expect(await (await files?.read('a'))?.text()).toBe('text');
    expect(folder.writing.size).toBe(0);
  });

  it('that another tab deletes while files are listed does not hide the others', async () => {
    await files?.write('a', new Blob(['text']));
    const handle = await folder.getFileHandle('a');
    const getFile = () => Promise.reject(new DOMException('', 'NotFoundError'));
    folder.getFileHandle = () => Promise.resolve({ ...handle, getFile });
    expect(await files?.names()).toEqual(['a']);
  });

  it('is not deleted while another page writes it', async () => {
    await files?.write('a', new Blob(['text']));
    folder.writing.add('a');
    expect(await files?.write('a', new Blob(['other']))).toBe('busy');
    expect(await (await files?.read('a'))?.text()).toBe('text');
  });

  it.each([
    ['whether the browser writes a part of it', ROOM + 1],
    ['or refuses', 2 * ROOM + 1]
  ])('is not there in part where there is no room, %s', async (_, size) => {
    expect(await files?.write('a', new Blob(['x'.repeat(size)]))).toBe('full');
    expect(folder.contents.size).toBe(0);
    expect(folder.writing.size).toBe(0);
  });
});
