/** The plugins. The one with the settings starts the others, and requires all but the fixes: without it, none is activated. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ICompletionProviderManager, IInlineCompleterFactory } from '@jupyterlab/completer';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator } from '@jupyterlab/translation';
import { Token } from '@lumino/coreutils';
import { addCommands, fillPalette } from './commands';
import {
  createCompletion,
  createEngine,
  createNotifications,
  createOffers,
  followDocuments,
  followSettings,
  type ICompletionParts,
  type IEngineParts,
  type INotificationParts
} from './components';
import { Offers } from './fixes/offers';
import { addKeys } from './keys';
import { ModelPanel, panelOpener } from './panel';
import type { Status } from './status';
import { addStatus } from './statusitem';

const NAME = 'jupyter-turbopilot';

const IEngine = new Token<IEngineParts>(`${NAME}:IEngine`);
const ICompletion = new Token<ICompletionParts>(`${NAME}:ICompletion`);
const INotifications = new Token<INotificationParts>(`${NAME}:INotifications`);
const IOffers = new Token<Offers>(`${NAME}:IOffers`);
const IStatus = new Token<Status>(`${NAME}:IStatus`);

const engine: JupyterFrontEndPlugin<IEngineParts> = {
  id: `${NAME}:engine`,
  description: 'The client of the model in the Jupyter server or in the browser.',
  optional: [ITranslator],
  provides: IEngine,
  activate: createEngine
};

const completion: JupyterFrontEndPlugin<ICompletionParts> = {
  id: `${NAME}:completion`,
  description: 'The providers of inline completions.',
  requires: [IEngine, ICompletionProviderManager, IInlineCompleterFactory],
  provides: ICompletion,
  activate: createCompletion
};

const notifications: JupyterFrontEndPlugin<INotificationParts> = {
  id: `${NAME}:notifications`,
  description: 'Notifications about errors, missing models, other providers and the notebook index.',
  requires: [IEngine, ICompletion],
  optional: [IStateDB],
  provides: INotifications,
  activate: createNotifications
};

const fixes: JupyterFrontEndPlugin<Offers> = {
  id: `${NAME}:fixes`,
  description: 'Fixes, renames, repeated edits, and names that do not exist.',
  requires: [IEngine, ICompletion, INotifications],
  provides: IOffers,
  activate: createOffers
};

const status: JupyterFrontEndPlugin<Status> = {
  id: `${NAME}:status`,
  description: 'The status of the model, in the status bar and for screen readers.',
  requires: [IEngine, ICompletion],
  optional: [IOffers, IStatusBar],
  provides: IStatus,
  activate: addStatus
};

const main: JupyterFrontEndPlugin<void> = {
  id: `${NAME}:plugin`,
  description: 'Inline code completion from a model in the Jupyter server or in the browser.',
  autoStart: true,
  requires: [IEngine, ICompletion, INotifications, IStatus],
  optional: [IOffers, ISettingRegistry, ICommandPalette],
  activate: (
    app,
    engine: IEngineParts,
    completion: ICompletionParts,
    notifications: INotificationParts,
    status: Status,
    offers: Offers | null,
    registry: ISettingRegistry | null,
    palette: ICommandPalette | null
  ) => {
    const { client, availability, trans } = engine;
    const openModels = panelOpener(
      app.shell,
      () => new ModelPanel(client, availability, notifications.downloads, trans)
    );
    const used = { offers: offers ?? new Offers(), status, openModels };
    const parts = { ...engine, ...completion, ...notifications, ...used };
    addKeys(app.commands, parts);
    addCommands(app.commands, parts);
    if (palette) {
      fillPalette(palette);
    }
    followDocuments(app, parts);
    followSettings(parts, registry, main.id);
    void app.restored.then(() => availability.check());
  }
};

export default [engine, completion, notifications, fixes, status, main];
