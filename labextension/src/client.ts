/** What completes and what manages models, whether a server does it or this page. */

import type { IAnswer, IFeedback, IFrame, IHealth, IModel, IRequest, IStep } from './wire';

/** What is known of an engine: what a server says of itself, and more where it runs in this page. */
export interface IEngineHealth extends IHealth {
  /** of the model in this page: how many bytes it has, and how far its file is that is being fetched */
  inPage?: { size: number | null; step: IStep | null };
}

export interface ICompletionClient {
  /** Complete, calling `frame` as the text grows. */
  complete(request: IRequest, signal: AbortSignal, frame: (frame: IFrame) => void): Promise<void>;
  /** Several whole alternatives. */
  alternatives(request: IRequest, signal: AbortSignal): Promise<IAnswer>;
  health(signal?: AbortSignal): Promise<IEngineHealth>;
  /** Numbers only; nobody waits for it and nobody is told when it fails. */
  feedback(feedback: IFeedback): void;
  /** Forget what was learned from that. */
  forget(): Promise<void>;
}

export interface IModelClient {
  /** Whether the models run in this page, and those that it can use are a site's. */
  readonly inPage: boolean;
  models(): Promise<IModel[]>;
  select(model: string, tuned?: boolean | null): Promise<IHealth>;
  /** Fetch a model, calling `step` as it comes. An end without the file is an error. */
  pull(model: string, mirrors: boolean, step: (step: IStep) => void, select?: boolean): Promise<void>;
  stopPull(model: string): Promise<void>;
  /** Delete a model's file; the bytes that are free now are returned. */
  remove(model: string): Promise<number>;
}

export interface IClient extends ICompletionClient, IModelClient {
  /** Another client is used from now on: give back what this one holds. It may be used again later. */
  leave?(): void;
}
