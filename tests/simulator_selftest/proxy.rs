//! The CONNECT proxy tunnels, asks for its password, and fails as it is told to.

use reqwest::Proxy;

use crate::caller::Caller;
use crate::simulator::{ConnectProxy, ProfileSpec, ProxyFailure};

const VERSION: &str = "/mpki/api/v1/version";

fn caller(proxy: &ConnectProxy, credentials: Option<(&str, &str)>) -> Caller {
    let mut setting = Proxy::all(proxy.url()).unwrap();
    if let Some((user, password)) = credentials {
        setting = setting.basic_auth(user, password);
    }
    Caller::new(ProfileSpec::default()).through(setting)
}

#[test]
fn it_tunnels() {
    let proxy = ConnectProxy::start(None);
    let caller = caller(&proxy, None);
    assert_eq!(caller.get(VERSION).status, 200);
    let target = format!("localhost:{}", caller.simulator.port());
    assert_eq!((proxy.tunnels(), proxy.targets()), (1, vec![target]));
}

#[test]
fn it_asks_for_its_password() {
    let proxy = ConnectProxy::start(Some(("user", "secret")));
    assert_eq!(caller(&proxy, Some(("user", "secret"))).get(VERSION).status, 200);
    for credentials in [None, Some(("user", "wrong"))] {
        let caller = caller(&proxy, credentials);
        assert!(caller.send(caller.keyed("GET", VERSION)).unwrap_err().is_connect());
    }
    assert_eq!(proxy.tunnels(), 1);
}

#[test]
fn it_fails_as_told() {
    let proxy = ConnectProxy::start(None);
    let caller = caller(&proxy, None);
    let failures =
        [ProxyFailure::AuthenticationRequired, ProxyFailure::BadGateway, ProxyFailure::Html, ProxyFailure::Reset];
    for failure in failures {
        proxy.fail(Some(failure));
        let error = caller.send(caller.keyed("GET", VERSION)).unwrap_err();
        assert!(error.is_connect() || error.is_request(), "{failure:?}: {error:?}");
    }
    assert_eq!((proxy.tunnels(), caller.simulator.requests().len()), (0, 0));
    proxy.fail(None);
    assert_eq!(caller.get(VERSION).status, 200);
}
