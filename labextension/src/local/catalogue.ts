/** The models that a site offers to the browser: `models.json`, beside the extension. */

import { ServerError } from '../requesterror';
import type { IModel, IProgress } from '../wire';
import { absolute, fetchWhole, fileName } from './address';
import type { ISource } from './modelfile';

export interface ILocalModel extends ISource {
  name: string;
  /** the language it is tuned to; empty: for all */
  language: string;
  /** the main language of its training data; empty: unknown */
  best: string;
  licence: string;
  use: string;
}

/** Read the list; addresses in it are relative to its own. */
export async function readCatalogue(address: string): Promise<ILocalModel[]> {
  const name = fileName(address);
  const bytes = await fetchWhole(address, 'no_model', 'no-cache');
  const listed = parsed(new TextDecoder().decode(bytes), name);
  const models = listed.filter((entry): entry is Listed => !mistakeIn(entry, address, name));
  if (listed.length === 0) {
    throw failure(`${name} lists no model. Report this to the owner of the site.`);
  }
  if (models.length === 0) {
    throw incorrect(mistakeIn(listed[0], address, name));
  }
  return models.map(model => ({
    name: model.name,
    url: absolute(model.url, address),
    sha256: model.sha256,
    size: model.size,
    language: model.language ?? '',
    best: model.best ?? '',
    licence: model.licence ?? '',
    use: model.use ?? ''
  }));
}

/** The list at an address, read at the first use. */
export class Catalogue {
  constructor(private readonly _address: string) {}

  models(): Promise<ILocalModel[]> {
    this._models ??= readCatalogue(this._address).catch((reason: unknown) => {
      this._models = null; // retry with the next request
      throw reason;
    });
    return this._models;
  }

  async named(name: string): Promise<ILocalModel> {
    const model = (await this.models()).find(one => one.name === name);
    if (!model) {
      throw new ServerError(404, 'no_model', `This site has no model called ${name}.`);
    }
    return model;
  }

  private _models: Promise<ILocalModel[]> | null = null;
}

/** Return a model as the Models panel lists it. */
export function describeModel(
  { name, size, licence, use }: ILocalModel,
  stored: boolean,
  progress: IProgress | null
): Omit<IModel, 'selected' | 'failed'> {
  return {
    name,
    spec: name,
    size,
    exact_size: true,
    architecture: 'llama',
    fim: 'auto',
    checkpoint: '',
    licence,
    use,
    saved: null,
    stored,
    verified: stored,
    adapters: [],
    adapters_enabled: false,
    pulling: progress !== null,
    progress,
    mirror: false
  };
}

/** Return the entries of a list. */
function parsed(text: string, name: string): unknown[] {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch (reason) {
    // Some browsers report the line.
    const [line] = /line \d+/.exec((reason as Error).message) ?? [];
    throw incorrect(`${name} is not valid JSON${line ? ` (${line})` : ''}`);
  }
  const models = isObject(read) ? (read.models ?? []) : null;
  if (!Array.isArray(models)) {
    throw incorrect(`${name} must be an object with a list “models”`);
  }
  return models;
}

function failure(message: string): ServerError {
  return new ServerError(500, 'no_model', message);
}

function incorrect(words: string): ServerError {
  return failure(`${words}. Report this to the owner of the site.`);
}

/** An entry of the list. */
type Listed = ISource & { name: string } & Partial<ILocalModel>;

const isText = (value: unknown): boolean => typeof value === 'string';
const isTextOrMissing = (value: unknown): boolean => isText(value ?? '');

/** Checks of the fields of an entry. */
const FIELDS: Record<string, (value: unknown) => boolean> = {
  name: isText,
  url: isText,
  sha256: value => isText(value) && /^[0-9a-f]{64}$/.test(value as string),
  size: value => Number.isSafeInteger(value) && Number(value) > 0,
  language: isTextOrMissing,
  best: isTextOrMissing,
  licence: isTextOrMissing,
  use: isTextOrMissing
};

/** Return the error in the first entry of a list; empty if it is valid. */
function mistakeIn(entry: unknown, address: string, list: string): string {
  if (!isObject(entry)) {
    return `The entry of model 1 in ${list} must be an object`;
  }
  const invalid = Object.keys(FIELDS).find(field => !FIELDS[field](entry[field]));
  const field = invalid ?? (absolute(entry.url as string, address) ? '' : 'url');
  return field && `“${field}” of model 1 in ${list} is missing or invalid`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
