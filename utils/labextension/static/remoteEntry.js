// A JupyterLab extension without a build step: a module-federation container written by hand.
// JupyterLab colours every code cell by the kernel's language; here a cell that begins with %%cuda becomes C++.
(function () {
    'use strict';

    const CPP = 'text/x-c++src';
    // An exercise may be in Python too. What only CUDA C++ contains tells them apart, outside of strings,
    // since a Python exercise may hold a kernel's source as text.
    const CUDA_TEXT = /^[ \t]*#include\b|\b__(global|device|host|shared)__\b|\btorch::/m;
    const STRINGS = /("""|''')[^]*?\1|"[^"\n]*"|'[^'\n]*'/g;

    function isCuda(source) {
        const start = source.trimStart();
        const newline = start.indexOf('\n');
        const first = newline < 0 ? start : start.slice(0, newline);
        if (/^%%cuda(\s|$)/.test(first)) return true;
        if (!/^%%exercise(\s|$)/.test(first) || newline < 0) return false;
        return CUDA_TEXT.test(start.slice(newline).replace(STRINGS, ''));
    }

    function colour(panel, model) {
        if (model.isDisposed || model.type !== 'code') return;
        if (isCuda(model.sharedModel.getSource())) {
            if (model.mimeType !== CPP) model.mimeType = CPP;
        } else if (model.mimeType === CPP) {
            // Back to the language that the notebook's other cells have.
            model.mimeType = panel.content.codeMimetype;
        }
    }

    function watch(panel) {
        const seen = new WeakSet();
        const watchCells = () => {
            const cells = panel.content.model ? panel.content.model.cells : [];
            for (const model of cells) {
                if (!seen.has(model)) {
                    seen.add(model);
                    model.contentChanged.connect(() => colour(panel, model));
                    // JupyterLab sets every cell's type again when the kernel tells its language.
                    model.mimeTypeChanged.connect(() => colour(panel, model));
                }
                colour(panel, model);
            }
        };
        const watchModel = () => {
            if (panel.content.model) panel.content.model.cells.changed.connect(watchCells);
            watchCells();
        };
        panel.content.modelChanged.connect(watchModel);
        panel.context.ready.then(watchModel);
    }

    async function shared(scope, name) {
        const versions = scope[name];
        const newest = Object.keys(versions).sort().pop();
        return (await versions[newest].get())();
    }

    let scope;
    const container = {
        init(shareScope) {
            scope = shareScope;
        },
        async get() {
            const { INotebookTracker } = await shared(scope, '@jupyterlab/notebook');
            const plugin = {
                id: 'conv-course-cuda-cells:plugin',
                autoStart: true,
                requires: [INotebookTracker],
                activate(app, tracker) {
                    tracker.forEach(watch);
                    tracker.widgetAdded.connect((_, panel) => watch(panel));
                },
            };
            return () => ({ __esModule: true, default: plugin });
        },
    };

    window._JUPYTERLAB = window._JUPYTERLAB || {};
    window._JUPYTERLAB['conv-course-cuda-cells'] = container;
})();
