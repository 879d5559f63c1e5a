/** Files that a browser keeps, for tests. */

import type { IFiles, Written } from '../files';

export class Files implements IFiles {
  readonly kept = new Map<string, Blob>();
  read = (name: string) => Promise.resolve(this.kept.get(name) ?? null);
  write = (name: string, content: Blob): Promise<Written> => {
    this.kept.set(name, content);
    return Promise.resolve('kept');
  };
  remove = (name: string) => Promise.resolve(this.kept.delete(name) ? 1 : 0);
  names = () => Promise.resolve([...this.kept.keys()]);
}
