/** The files that the page stores in the browser, by name. */

/** The result of a write: stored, locked by another writer, or no space. */
export type Written = 'kept' | 'busy' | 'full';

export type IFiles = Pick<PrivateFiles, 'read' | 'write' | 'remove' | 'names'>;

const FOLDER = 'jupyter-turbopilot';

/** The error name if another tab or this worker is writing the file. */
const BUSY = 'NoModificationAllowedError';

/** A write handle in a worker; only one at a time, in all tabs. */
interface IAccess {
  truncate(size: number): void;
  write(bytes: BufferSource, options: { at: number }): number;
  flush(): void;
  close(): void;
}

/** Stores files in the browser's origin-private file system. For workers. */
export class PrivateFiles {
  private constructor(private readonly _folder: FileSystemDirectoryHandle) {}

  /** Open the folder; null without storage, as in some private windows and over plain HTTP. */
  static async open(): Promise<IFiles | null> {
    try {
      const root = await navigator.storage.getDirectory();
      return new PrivateFiles(await root.getDirectoryHandle(FOLDER, { create: true }));
    } catch {
      return null;
    }
  }

  /** Return a file, or null if it does not exist. */
  async read(name: string): Promise<Blob | null> {
    try {
      return await (await this._folder.getFileHandle(name)).getFile();
    } catch {
      return null;
    }
  }

  /** Store a file. */
  async write(name: string, content: Blob): Promise<Written> {
    try {
      const handle = await this._folder.getFileHandle(name, { create: true });
      const access = await (
        handle as unknown as { createSyncAccessHandle(): Promise<IAccess> }
      ).createSyncAccessHandle();
      try {
        access.truncate(0);
        if (access.write(await content.arrayBuffer(), { at: 0 }) === content.size) {
          access.flush();
          return 'kept';
        }
      } finally {
        access.close();
      }
    } catch (reason) {
      if ((reason as Error).name === BUSY) {
        return 'busy';
      }
    }
    await this.remove(name);
    return 'full';
  }

  /** Delete a file; return its size in bytes. */
  async remove(name: string): Promise<number> {
    try {
      const { size } = await (await this._folder.getFileHandle(name)).getFile();
      await this._folder.removeEntry(name);
      return size;
    } catch {
      return 0;
    }
  }

  /** Return the names of the stored files, oldest first. */
  async names(): Promise<string[]> {
    const found: { name: string; changed: number }[] = [];
    for await (const name of (this._folder as unknown as { keys(): AsyncIterable<string> }).keys()) {
      const handle = await this._folder.getFileHandle(name).catch(() => null);
      found.push({ name, changed: (await handle?.getFile().catch(() => null))?.lastModified ?? 0 });
    }
    return found.sort((one, other) => one.changed - other.changed).map(({ name }) => name);
  }
}
