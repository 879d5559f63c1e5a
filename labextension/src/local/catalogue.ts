/** The models that a site offers to the browser: `models.json`, beside the extension. */

import { ServerError } from '../trouble';
import type { ISource } from './modelfile';

export interface ILocalModel extends ISource {
  name: string;
  /** the language it is tuned to; empty: for all */
  language: string;
  licence: string;
  use: string;
}

/**
 * Read the list; addresses in it are relative to its own. Models for wllama are left out where the list does not say
 * where its WebAssembly is, and so are models for engines that are not known here.
 */
export async function readCatalogue(address: string): Promise<ILocalModel[]> {
  const response = await fetch(address, { cache: 'no-cache' }).catch(() => null);
  if (!response) {
    throw new ServerError(
      500,
      'download_failed',
      `The list of models cannot be fetched from ${address}. Is there a connection?`
    );
  }
  const read = response.ok
    ? ((await response.json().catch(() => null)) as { models?: unknown; wllama?: unknown } | null)
    : null;
  const wllama = typeof read?.wllama === 'string' ? absolute(read.wllama, address) : '';
  const models = (Array.isArray(read?.models) ? read.models.filter(isModel) : []).filter(
    ({ url, engine }) => absolute(url, address) && (engine === undefined || (engine === 'wllama' && wllama))
  );
  if (models.length === 0) {
    throw new ServerError(
      500,
      'no_model',
      `This site has no model for the browser. Build it again: its list is ${address}`
    );
  }
  return models.map(({ engine, ...model }) => ({
    ...model,
    language: model.language ?? '',
    licence: model.licence ?? '',
    use: model.use ?? '',
    url: absolute(model.url, address),
    wllama: engine ? wllama : ''
  }));
}

/** An address relative to another one; empty where it is none. */
export function absolute(url: string, base: string): string {
  try {
    return new URL(url, base).href;
  } catch {
    return '';
  }
}

/** A model as the list has it. */
type Listed = ISource & { name: string; engine?: string } & Partial<ILocalModel>;

function isModel(value: unknown): value is Listed {
  const { name, url, sha256, size, ...words } = (value ?? {}) as Partial<ILocalModel>;
  return (
    typeof name === 'string' &&
    typeof url === 'string' &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    Number.isSafeInteger(size) &&
    Number(size) > 0 &&
    [words.language, words.licence, words.use].every(word => typeof (word ?? '') === 'string')
  );
}
