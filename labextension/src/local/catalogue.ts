/** The models that a site offers to the browser: `models.json`, beside the extension. */

import { ServerError } from '../trouble';
import { absolute, fileName, isWebPage, webPageInPlaceOf } from './address';
import type { ISource } from './modelfile';

export interface ILocalModel extends ISource {
  name: string;
  /** the language it is tuned to; empty: for all */
  language: string;
  /** the language that it knows best; empty: nobody says */
  best: string;
  licence: string;
  use: string;
}

/**
 * Read the list; addresses in it are relative to its own. Models for wllama are left out where the list does not say
 * where its WebAssembly is, and so are models for engines that are not known here.
 */
export async function readCatalogue(address: string): Promise<ILocalModel[]> {
  const name = fileName(address);
  const noConnection = (): never => {
    throw failure('download_failed', `${name} cannot be fetched. Is there a connection?`);
  };
  const response = await fetch(address, { cache: 'no-cache' }).catch(noConnection);
  if (!response.ok) {
    const isAbsent = response.status === 404 || response.status === 410;
    const remedy = isAbsent
      ? 'The owner of the site has to put it there.'
      : 'Try again later, or reload the page.';
    throw failure(
      isAbsent ? 'no_model' : 'download_failed',
      `The list of models, ${name}, cannot be fetched (${response.status}). ${remedy}`
    );
  }
  const read = parsed(await response.text().catch(noConnection), name);
  const wllama = typeof read?.wllama === 'string' ? absolute(read.wllama, address) : '';
  const models = (Array.isArray(read?.models) ? read.models.filter(isModel) : []).filter(
    ({ url, engine }) => absolute(url, address) && (engine === undefined || (engine === 'wllama' && wllama))
  );
  if (models.length === 0) {
    throw failure(
      'no_model',
      `${name} lists no model that runs in the browser. The owner of the site has to add one.`
    );
  }
  return models.map(({ engine, ...model }) => ({
    ...model,
    language: model.language ?? '',
    best: model.best ?? '',
    licence: model.licence ?? '',
    use: model.use ?? '',
    url: absolute(model.url, address),
    wllama: engine ? wllama : ''
  }));
}

/** Read the text of a list, or say what is wrong with it. */
function parsed(text: string, name: string): { models?: unknown; wllama?: unknown } | null {
  if (isWebPage(text)) {
    throw failure('no_model', webPageInPlaceOf(name));
  }
  try {
    return JSON.parse(text) as { models?: unknown; wllama?: unknown } | null;
  } catch (reason) {
    // As far as the browser says where.
    const [line] = /line \d+/.exec((reason as Error).message) ?? [];
    const where = line ? ` (${line})` : '';
    throw failure('no_model', `${name} is not valid JSON${where}. The owner of the site has to correct it.`);
  }
}

function failure(code: string, message: string): ServerError {
  return new ServerError(500, code, message);
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
    [words.language, words.best, words.licence, words.use].every(word => typeof (word ?? '') === 'string')
  );
}
