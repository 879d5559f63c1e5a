/** The client of the engine that completes here. Which one that is may be decided later, or otherwise. */

import type { IClient, IEngineHealth } from './client';
import type { IAnswer, IFeedback, IFrame, IHealth, IModel, IRequest, IStep } from './wire';

export class ChosenClient implements IClient {
  /** Who asks before it is known which client answers waits for that. */
  constructor() {
    this._client = new Promise(resolve => (this._resolve = resolve));
  }

  /** Use a client from now on. */
  use(client: IClient): void {
    this._inPage = client.inPage;
    this._resolve(client);
    this._client = Promise.resolve(client);
  }

  get inPage(): boolean {
    return this._inPage;
  }

  async complete(request: IRequest, signal: AbortSignal, frame: (frame: IFrame) => void): Promise<void> {
    return (await this._client).complete(request, signal, frame);
  }

  async alternatives(request: IRequest, signal: AbortSignal): Promise<IAnswer> {
    return (await this._client).alternatives(request, signal);
  }

  async health(signal?: AbortSignal): Promise<IEngineHealth> {
    return (await this._client).health(signal);
  }

  feedback(feedback: IFeedback): void {
    void this._client.then(client => client.feedback(feedback));
  }

  async forget(): Promise<void> {
    return (await this._client).forget();
  }

  async models(): Promise<IModel[]> {
    return (await this._client).models();
  }

  async select(model: string, tuned?: boolean | null): Promise<IHealth> {
    return (await this._client).select(model, tuned);
  }

  async pull(model: string, mirrors: boolean, step: (step: IStep) => void, select?: boolean): Promise<void> {
    return (await this._client).pull(model, mirrors, step, select);
  }

  async stopPull(model: string): Promise<void> {
    return (await this._client).stopPull(model);
  }

  async remove(model: string): Promise<number> {
    return (await this._client).remove(model);
  }

  private _client: Promise<IClient>;
  private _inPage = false;
  private _resolve: (client: IClient) => void = () => undefined;
}
