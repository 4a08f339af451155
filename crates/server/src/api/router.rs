//! The table of the API: method, path, budget, need, handler. Paths are in the one spelling that the edge
//! makes of all.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, get, on, post};

use super::errors::ApiError;
use super::gate::{self, Gate};
use super::limit::Budget::{self, Contract, Own};
use super::permission::Need;
use super::{
    files, holds, lists, machine_actions, machines, operator_key, orders, policy, preview, status, token,
};
use crate::app::App;

const GET: MethodFilter = MethodFilter::GET;
const POST: MethodFilter = MethodFilter::POST;
const PUT: MethodFilter = MethodFilter::PUT;
const DELETE: MethodFilter = MethodFilter::DELETE;

/// Every route.
#[rustfmt::skip]
pub(super) fn router(app: &Arc<App>) -> Router {
    Table::new(app)
        .row(GET,  "/api/files/{id}",          Contract("files.show"),     Need::FileRead,    files::show::handle)
        .row(POST, "/api/files/{id}/block",    Contract("files.block"),    Need::Block,       files::block::handle)
        .row(POST, "/api/files/{id}/unblock",  Contract("files.unblock"),  Need::Block,       files::unblock::handle)
        .row(GET,  "/api/files/{id}/determination", Own("files.determination"), Need::FileRead, files::determination::show)
        .row(PUT,  "/api/files/{id}/determination", Own("files.judge"), Need::Judge, files::determination::set)
        .row(DELETE, "/api/files/{id}/determination", Own("files.judge"), Need::Judge, files::determination::withdraw)
        .row(GET,  "/api/files/{id}/machines", Contract("files.machines"), Need::MachineRead, files::machines::handle)

        .row(GET,  "/api/machines",            Contract("machines.list"),  Need::MachineRead, machines::list::handle)
        .row(GET,  "/api/machines/{id}",       Contract("machines.show"),  Need::MachineRead, machines::show::handle)
        .row(POST, "/api/machines/{id}/stopandquarantinefile",
                                               Contract("machines.quarantine"), Need::Quarantine, machines::quarantine::handle)
        .row(GET,  "/api/machineactions",      Contract("machineactions.list"), Need::MachineRead, machine_actions::list::handle)
        .row(GET,  "/api/machineactions/{id}", Contract("machineactions.show"), Need::MachineRead, machine_actions::show::handle)
        .row(POST, "/api/machineactions/{id}/cancel",
                                               Contract("machineactions.cancel"), Need::Cancel, machine_actions::cancel::handle)

        .row(GET,  "/testwdatppreview/files/{id}",         Contract("files.show"),    Need::FileRead, files::show::handle)
        .row(POST, "/testwdatppreview/files/{id}/block",   Contract("files.block"),   Need::Block,    files::block::handle)
        .row(POST, "/testwdatppreview/files/{id}/unblock", Contract("files.unblock"), Need::Block,    files::unblock::handle)
        .row(GET,  "/testwdatppreview/fileactions",        Contract("fileactions.list"), Need::Block, preview::file_actions::handle)
        .row(POST, "/testwdatppreview/machines/{id}/stopandquarantinefile",
                                               Contract("machines.quarantine"), Need::Quarantine, preview::quarantine::handle)
        .row(GET,  "/testwdatppreview/filemachineactions",
                                               Contract("filemachineactions.list"), Need::MachineRead, preview::list::handle)
        .row(GET,  "/testwdatppreview/filemachineactions/{id}",
                                               Contract("filemachineactions.show"), Need::MachineRead, preview::show::handle)

        .row(GET,  "/api/quell/files/{id}/copies", Own("files.copies"), Need::MachineRead, files::copies::handle)
        .row(GET,  "/api/quell/files/{id}/sample", Own("files.sample"), Need::SampleRead,  files::sample::handle)
        .row(POST, "/api/quell/machines/{id}/collect",
                                                   Own("machines.collect"), Need::Collect, machines::collect::handle)
        .row(GET,  "/api/quell/orders",            Own("orders.list"),  Need::MachineRead, orders::list::handle)
        .row(GET,  "/api/quell/orders/{id}",       Own("orders.show"),  Need::MachineRead, orders::show::handle)
        .row(POST, "/api/quell/orders/{id}/undo",  Own("orders.undo"),  Need::Token,       orders::undo::handle)
        .row(POST, "/api/quell/orders/{id}/cancel", Own("orders.cancel"), Need::Token,      orders::cancel::handle)

        .row(GET,  "/api/quell/lists",             Own("lists.list"),   Need::FileRead,    lists::list::handle)
        .row(GET,  "/api/quell/lists/{name}",      Own("lists.show"),   Need::FileRead,    lists::show::handle)
        .row(PUT,  "/api/quell/lists/{name}",      Own("lists.import"), Need::Lists,       lists::import::handle)
        .row(DELETE, "/api/quell/lists/{name}",    Own("lists.remove"), Need::Lists,       lists::remove::handle)

        .row(GET,  "/api/quell/policies",          Own("policies.list"), Need::FileRead,   policy::list)
        .row(PUT,  "/api/quell/policies/malware",  Own("policies.set"), Need::Block,       policy::set)
        .row(DELETE, "/api/quell/policies/malware", Own("policies.remove"), Need::Block,   policy::remove)

        .row(GET,  "/api/quell/holds",             Own("holds.list"),   Need::MachineRead, holds::list::handle)
        .row(GET,  "/api/quell/holds/{id}",        Own("holds.show"),   Need::MachineRead, holds::show::handle)
        .row(GET,  "/api/quell/operator-key",      Own("operator-key.show"), Need::MachineRead, operator_key::show::handle)
        .row(POST, "/api/quell/operator-key",      Own("operator-key.rotate"), Need::Approve, operator_key::rotate::handle)
        .row(POST, "/api/quell/approvals",         Own("holds.approve"), Need::Approve,    holds::approve::handle)

        // Who asks here has no token yet.
        .open("/api/quell/status",                            get(status::handle))
        .open("/{tenant}/oauth2/token",                       get(token::v1::handle).post(token::v1::handle))
        .open("/{tenant}/oauth2/v2.0/token",                  post(token::v2::handle))
        .open("/{tenant}/v2.0/.well-known/openid-configuration", get(token::discovery::handle))
        .open("/{tenant}/discovery/v2.0/keys",                get(token::keys::handle))
        .finish()
}

struct Table {
    app: Arc<App>,
    router: Router<Arc<App>>,
}

impl Table {
    fn new(app: &Arc<App>) -> Self {
        Self { app: Arc::clone(app), router: Router::new() }
    }

    fn row<H, T>(mut self, method: MethodFilter, path: &str, budget: Budget, need: Need, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let gate = Gate { app: Arc::clone(&self.app), budget, need };
        let route = on(method, handler).route_layer(from_fn_with_state(gate, gate::pass));
        self.router = self.router.route(path, route);
        self
    }

    fn open(mut self, path: &str, route: axum::routing::MethodRouter<Arc<App>>) -> Self {
        self.router = self.router.route(path, route);
        self
    }

    fn finish(self) -> Router {
        self.router
            .method_not_allowed_fallback(async || ApiError::WrongMethod)
            .fallback(async || ApiError::UnknownRoute)
            .with_state(self.app)
    }
}
